package gateway

import (
	"context"
	"fmt"
	"maps"
	"time"

	"fleetcast/codec/command"
	"fleetcast/poller"
)

// counters are what a loop counts. Plain integers: only the loop touches them,
// and who wants to know asks it for a copy.
type counters struct {
	connections   int64 // sockets, those in their handshake included
	clients       int64 // sessions that are open
	compressing   int64 // of them, those that have agreed on permessage-deflate
	subscriptions int64
	backlogBytes  int64
	lagging       int64 // clients that are open and have a backlog

	accepted   uint64
	messagesIn uint64
	bytesIn    uint64
	bytesOut   uint64
	writes     uint64
	published  uint64 // events sequenced here
	events     uint64 // events received for local subscribers
	deliveries uint64 // events times subscribers, handed to the socket or the backlog
	dropped    uint64 // events times subscribers that gaps tell of, whether they were in a backlog or not
	gaps       uint64 // told
	fanOutCuts uint64 // fan-outs interrupted because their slice was over
	readCuts   uint64 // times a client's input was left for the next turn
	throttles  uint64 // times a client was not read because of its rate
	queued     int64  // events taken and not yet served to all subscribers
	// addressesUnknown counts clients of trusted proxies that did not say whose they
	// are. Health checks, which never become clients, are the proxies' own.
	addressesUnknown uint64

	disconnects       [disconnectCount]uint64
	handshakeFailures map[string]uint64 // by the codec's reason
	commandErrors     map[command.Code]uint64

	turns          histogram // of the loop
	publishToWrite histogram // of events: from being read to the last subscriber here
}

func newCounters() counters {
	return counters{handshakeFailures: make(map[string]uint64), commandErrors: make(map[command.Code]uint64)}
}

// Stats is a snapshot of one shard, or the sum of all. Counts run from the
// start of the process.
type Stats struct {
	Connections       int64             `json:"connections"` // client sockets, those included that wait for their turn or are in their handshake
	Clients           int64             `json:"clients"`
	CompressedClients int64             `json:"compressed_clients"` // that have agreed on permessage-deflate
	Subscriptions     int64             `json:"subscriptions"`
	Channels          int64             `json:"channels"` // with a subscriber; in the sum, once per shard
	Events            uint64            `json:"events"`   // taken for local subscribers; in the sum, once per shard
	Deliveries        uint64            `json:"deliveries"`
	Dropped           uint64            `json:"dropped"` // events times subscribers that gaps tell of; those that had been in a backlog are among the deliveries
	Gaps              uint64            `json:"gaps"`    // told
	Writes            uint64            `json:"writes"`
	FanOutCuts        uint64            `json:"fan_out_cuts"` // times a fan-out was interrupted to let others have their turn
	ReadCuts          uint64            `json:"read_cuts"`    // times a client's input was left for the next turn, so that others have theirs
	Throttles         uint64            `json:"throttles"`    // times a client was not read for a while, because it had sent far more than its rate allows
	ClientMessages    uint64            `json:"client_messages"`
	ClientPublished   uint64            `json:"client_published"`
	CommandErrors     map[string]uint64 `json:"command_errors"` // by code
	BytesIn           uint64            `json:"bytes_in"`
	BytesOut          uint64            `json:"bytes_out"`
	BacklogBytes      int64             `json:"backlog_bytes"`
	Lagging           int64             `json:"lagging"`             // clients with a backlog
	Paused            int64             `json:"paused"`              // clients whose publish waits for credit
	CreditWait        float64           `json:"credit_wait_seconds"` // of all clients
	MailboxDepth      int64             `json:"mailbox_depth"`       // events that waited when the loop looked
	QueuedEvents      int64             `json:"queued_events"`       // taken, not yet served to all subscribers
	Accepted          uint64            `json:"accepted"`
	ConnectsQueued    int64             `json:"connects_queued"`   // accepted sockets that wait for their turn
	AddressesUnknown  uint64            `json:"addresses_unknown"` // clients that trusted proxies did not name
	Disconnects       map[string]uint64 `json:"disconnects"`
	HandshakeFailures map[string]uint64 `json:"handshake_failures"`
	Turns             Histogram         `json:"turn_seconds"`
	// PublishToWrite is from an event being taken from its publisher, after any wait for credit, to its last write on the
	// shard, or to the backlogs of those who lag; in the sum, once per shard.
	PublishToWrite Histogram `json:"publish_to_write_seconds"`
}

// PublishStats is a snapshot of the publish port, all its loops together.
type PublishStats struct {
	Publishers  int64             `json:"publishers"`
	Paused      int64             `json:"paused"`              // that wait for credit
	CreditWait  float64           `json:"credit_wait_seconds"` // of all publishers
	Requests    uint64            `json:"requests"`
	Events      uint64            `json:"events"` // sequenced
	BytesIn     uint64            `json:"bytes_in"`
	BytesOut    uint64            `json:"bytes_out"`
	ReadCuts    uint64            `json:"read_cuts"`   // times a publisher's input was left for a later turn, so that others have theirs
	Errors      map[string]uint64 `json:"errors"`      // by code
	Refused     map[string]uint64 `json:"refused"`     // connections turned away, by reason
	Ended       map[string]uint64 `json:"ended"`       // connections that the publish port ended, by reason
	InputBytes  int64             `json:"input_bytes"` // that unfinished requests hold
	CreditsUsed int64             `json:"credits_used_bytes"`
	Streams     int64             `json:"streams"`

	StreamsUnused  int64  `json:"streams_unused"`  // without subscribers; they make room for others
	StreamsEvicted uint64 `json:"streams_evicted"` // unused streams that were forgotten to make room
	EventsUnkept   uint64 `json:"events_unkept"`   // to channels without subscribers for which there was no room, so that their position was not kept
}

// CompressionStats is what was compressed for clients: an event once for each
// format that was needed, however many clients got it.
type CompressionStats struct {
	Events   uint64 `json:"events"`
	BytesIn  uint64 `json:"bytes_in"`
	BytesOut uint64 `json:"bytes_out"` // sent plain, where that is as small
}

// Limits are those of the configuration in effect that counters are to be
// seen beside.
type Limits struct {
	MaxClients    int   `json:"max_clients"`
	MaxPublishers int   `json:"max_publishers"`
	MaxChannels   int   `json:"max_channels"`
	Subscriptions int   `json:"max_subscriptions"`
	Credits       int64 `json:"credits_bytes"`
	Backlog       int   `json:"backlog_bytes"` // of one client
	BacklogMemory int64 `json:"backlog_memory_bytes"`
	InputMemory   int64 `json:"input_memory_bytes"` // of clients, and again of publishers
	ConnectQueue  int   `json:"connect_queue"`      // 0 if connects have no rate
}

// GatewayStats is what /api/stats answers.
type GatewayStats struct {
	StartedAt time.Time `json:"started_at"`
	Ready     bool      `json:"ready"`
	Limits    Limits    `json:"limits"`

	Total   Stats        `json:"total"`
	Shards  []Stats      `json:"shards"`
	Publish PublishStats `json:"publish"`

	// BacklogMemory is what the backlogs hold alive in bytes, an event that waits for
	// many clients counted once.
	BacklogMemory int64 `json:"backlog_memory_bytes"`
	// ClientInput is what unfinished messages and handshakes of clients hold in bytes.
	ClientInput int64 `json:"client_input_bytes"`
	// ClientContexts is what the windows of clients that compress with context may
	// take in bytes.
	ClientContexts int64 `json:"client_context_bytes"`

	Compression CompressionStats `json:"compression"`

	// ClientAddresses is how many addresses are counted, because they have clients
	// or had some a short time ago; 0 if nothing is bounded per address.
	ClientAddresses int64 `json:"client_addresses"`

	// AdminRefused counts requests and connections that the admin port refused, by
	// reason.
	AdminRefused map[string]uint64 `json:"admin_refused"`
}

// Stats asks every loop for its counters. It fails if ctx ends before all have
// answered, or the gateway has stopped.
func (g *Gateway) Stats(ctx context.Context) (GatewayStats, error) {
	stats := GatewayStats{StartedAt: g.startedAt, Ready: g.Ready(), Limits: g.limits(), Total: newStats()}
	for _, s := range g.shards {
		var shard Stats
		if err := g.ask(ctx, s.post, func() { shard = s.stats() }); err != nil {
			return GatewayStats{}, fmt.Errorf("ask shard %d for its counters: %w", s.index, err)
		}
		stats.Shards = append(stats.Shards, shard)
		stats.Total.add(&shard)
	}
	stats.Publish = newPublishStats()
	for _, in := range g.ingests {
		if err := g.ask(ctx, in.post, func() { in.addStats(&stats.Publish) }); err != nil {
			return GatewayStats{}, fmt.Errorf("ask the publish port for its counters: %w", err)
		}
	}
	g.apiPublisher.addStats(&stats.Publish)
	stats.AdminRefused = make(map[string]uint64)
	g.adminRefusals.addTo(stats.AdminRefused)
	stats.BacklogMemory = g.backlogs.total()
	stats.ClientContexts = g.contexts.held.Load()
	stats.ClientInput, stats.Publish.InputBytes = g.clientInput.held.Load(), g.publishInput.held.Load()
	stats.Compression = g.compressed.stats()
	stats.Publish.CreditsUsed = g.credits.inUse()
	stats.ClientAddresses = g.addresses.kept.Load()
	stats.Publish.Streams = g.streams.count.Load()
	room := &g.streams.room
	stats.Publish.StreamsUnused = room.unused[byPublisher].Load() + room.unused[byClient].Load()
	stats.Publish.StreamsEvicted, stats.Publish.EventsUnkept = room.evicted.Load(), room.unkept.Load()
	return stats, nil
}

func (g *Gateway) limits() Limits {
	c := g.config()
	return Limits{
		MaxClients: c.MaxClients, MaxPublishers: c.MaxPublishers, MaxChannels: c.MaxChannels, Subscriptions: c.MaxSubscriptions,
		Credits: c.Credits, Backlog: c.BacklogBytes, BacklogMemory: c.BacklogMemory, InputMemory: c.InputMemory, ConnectQueue: g.settings.Load().connectQueue,
	}
}

// ask has a loop call f and waits for it.
func (g *Gateway) ask(ctx context.Context, post func(func()), f func()) error {
	done := make(chan struct{})
	post(func() { f(); close(done) })
	select {
	case <-done:
		return nil
	case <-g.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newStats() Stats {
	return Stats{
		CommandErrors:     make(map[string]uint64),
		Disconnects:       make(map[string]uint64),
		HandshakeFailures: make(map[string]uint64),
	}
}

func newPublishStats() PublishStats {
	return PublishStats{Errors: make(map[string]uint64), Refused: make(map[string]uint64), Ended: make(map[string]uint64)}
}

// stats copies the shard's counters; the shard calls it.
func (s *shard) stats() Stats {
	c := &s.counters
	stats := Stats{
		Connections:       c.connections + int64(s.waiting.len()),
		Clients:           c.clients,
		CompressedClients: c.compressing,
		Subscriptions:     c.subscriptions,
		Channels:          int64(len(s.channels)),
		Events:            c.events,
		Deliveries:        c.deliveries,
		Dropped:           c.dropped,
		Gaps:              c.gaps,
		Writes:            c.writes,
		FanOutCuts:        c.fanOutCuts,
		ReadCuts:          c.readCuts,
		Throttles:         c.throttles,
		ClientMessages:    c.messagesIn,
		ClientPublished:   c.published,
		CommandErrors:     make(map[string]uint64),
		BytesIn:           c.bytesIn,
		BytesOut:          c.bytesOut,
		BacklogBytes:      c.backlogBytes,
		Lagging:           c.lagging,
		Paused:            int64(len(s.starved.queue)),
		CreditWait:        s.starved.waitedBy(poller.Now()).Seconds(),
		MailboxDepth:      int64(s.taken),
		QueuedEvents:      c.queued,
		Accepted:          c.accepted,
		ConnectsQueued:    int64(s.waiting.len()),
		AddressesUnknown:  c.addressesUnknown,
		Disconnects:       make(map[string]uint64),
		HandshakeFailures: maps.Clone(c.handshakeFailures),
		Turns:             c.turns.snapshot(),
		PublishToWrite:    c.publishToWrite.snapshot(),
	}
	for code, n := range c.commandErrors {
		stats.CommandErrors[string(code)] = n
	}
	for reason, n := range c.disconnects {
		if n > 0 {
			stats.Disconnects[disconnectNames[reason]] = n
		}
	}
	return stats
}

func (t *Stats) add(s *Stats) {
	t.Connections += s.Connections
	t.Clients += s.Clients
	t.CompressedClients += s.CompressedClients
	t.Subscriptions += s.Subscriptions
	t.Channels += s.Channels
	t.Events += s.Events
	t.Deliveries += s.Deliveries
	t.Dropped += s.Dropped
	t.Gaps += s.Gaps
	t.Writes += s.Writes
	t.FanOutCuts += s.FanOutCuts
	t.ReadCuts += s.ReadCuts
	t.Throttles += s.Throttles
	t.ClientMessages += s.ClientMessages
	t.ClientPublished += s.ClientPublished
	t.BytesIn += s.BytesIn
	t.BytesOut += s.BytesOut
	t.BacklogBytes += s.BacklogBytes
	t.Lagging += s.Lagging
	t.Paused += s.Paused
	t.CreditWait += s.CreditWait
	t.MailboxDepth += s.MailboxDepth
	t.QueuedEvents += s.QueuedEvents
	t.Accepted += s.Accepted
	t.ConnectsQueued += s.ConnectsQueued
	t.AddressesUnknown += s.AddressesUnknown
	t.Turns.add(&s.Turns)
	t.PublishToWrite.add(&s.PublishToWrite)
	addCounts(t.CommandErrors, s.CommandErrors)
	addCounts(t.Disconnects, s.Disconnects)
	addCounts(t.HandshakeFailures, s.HandshakeFailures)
}

func addCounts(to, from map[string]uint64) {
	for name, n := range from {
		to[name] += n
	}
}
