package stats

import (
	"maps"
	"time"
)

// The fields below are declared once: by their tags they are summed, answered by
// /api/stats, exported by /metrics and logged as incidents. In the tags, json is the
// name in the API, metric the name of the metric without the prefix "fleetcast_",
// label the name of the metric's label, and help its text. Fields with the same
// metric are added up. An unsigned field, or one of seconds, is a counter, a signed one a gauge. The names are an interface: dashboards and alerts
// are built on them. Labels take values from short fixed sets only; neither
// channels nor clients are among them.

// Shard is what one shard has counted since the start of the process, or the sum
// over all shards. The shard counts in it; others get a [Shard.Snapshot].
type Shard struct {
	Connections       int64             `json:"connections" metric:"client_connections" help:"Sockets of clients, those included that wait for their turn or are in their handshake."`
	Clients           int64             `json:"clients" metric:"clients" help:"Clients past their handshake."`
	CompressedClients int64             `json:"compressed_clients" metric:"clients_compressed" help:"Clients that have agreed on permessage-deflate."`
	Subscriptions     int64             `json:"subscriptions" metric:"subscriptions" help:"Subscriptions of all clients."`
	Channels          int64             `json:"channels" metric:"shard_channels" help:"Channels with a subscriber, once for each shard that has one."`
	Events            uint64            `json:"events" metric:"shard_events_total" help:"Events taken by shards for their subscribers, once for each such shard."`
	Deliveries        uint64            `json:"deliveries" metric:"deliveries_total" help:"Events times subscribers, handed to the socket or to the backlog."`
	Dropped           uint64            `json:"dropped" metric:"dropped_events_total" help:"Events times subscribers that were not delivered because these lag, and are told as gaps."`
	Gaps              uint64            `json:"gaps" metric:"gaps_total" help:"Gaps told."`
	Writes            uint64            `json:"writes" metric:"writes_total" help:"Sends to sockets of clients, replies and pings included."`
	CatchingUp        int64             `json:"catching_up" metric:"subscriptions_catching_up" help:"Subscriptions whose clients still get earlier events."`
	Recoveries        map[string]uint64 `json:"recoveries" metric:"recoveries_total" label:"outcome" help:"Subscriptions that asked for earlier events, by outcome."`
	EventsRecovered   uint64            `json:"events_recovered" metric:"recovered_events_total" help:"Events times subscribers that were sent from the history; they count as deliveries too."`
	EventsFramed      uint64            `json:"events_framed" metric:"history_framed_events_total" help:"Events of the history that were laid out for clients, once for each format, however many clients got them."`
	FanOutCuts        uint64            `json:"fan_out_cuts" metric:"fan_out_cuts_total" help:"Fan-outs interrupted to let other channels and sockets have their turn."`
	ReadCuts          uint64            `json:"read_cuts" metric:"read_cuts_total" help:"Times the input of a client was left for the next turn, to let others have theirs."`
	Throttles         uint64            `json:"throttles" metric:"throttles_total" help:"Times a client was not read for a while, because it had sent far more than its rate allows."`
	ClientMessages    uint64            `json:"client_messages" metric:"client_messages_total" help:"Messages received from clients."`
	ClientPublished   uint64            `json:"client_published" metric:"client_published_events_total" help:"Events published by clients."`
	ClientDuplicates  uint64            `json:"client_duplicates" metric:"client_duplicate_events_total" help:"Events of clients that were not published, because they have the idempotency text of an earlier one."`
	CommandErrors     map[string]uint64 `json:"command_errors" metric:"client_command_errors_total" label:"code" help:"Commands of clients that were answered with an error, by code."`
	BytesIn           uint64            `json:"bytes_in" metric:"client_received_bytes_total" help:"Bytes received from clients."`
	BytesOut          uint64            `json:"bytes_out" metric:"client_sent_bytes_total" help:"Bytes that the sockets of clients have taken."`
	BacklogBytes      int64             `json:"backlog_bytes" metric:"backlog_bytes" help:"Bytes that wait for clients which lag."`
	Lagging           int64             `json:"lagging" metric:"clients_lagging" help:"Clients for which something waits that their sockets have not taken."`
	Paused            int64             `json:"paused" metric:"clients_paused" help:"Clients that are not read because their publish waits for credit."`
	CreditWait        float64           `json:"credit_wait_seconds" metric:"credit_wait_seconds_total"`
	MailboxDepth      int64             `json:"mailbox_depth" metric:"shard_mailbox_depth" help:"Events that waited in the mailboxes of shards when these looked."`
	QueuedEvents      int64             `json:"queued_events" metric:"shard_queued_events" help:"Events that shards have taken and not yet served to all subscribers."`
	Accepted          uint64            `json:"accepted" metric:"client_connections_accepted_total" help:"Sockets of clients that were accepted and found room."`
	ConnectsQueued    int64             `json:"connects_queued" metric:"connects_queued" help:"Accepted sockets of clients that wait for their turn to be served."`
	Deciding          int64             `json:"deciding" metric:"handshakes_deciding" help:"Clients whose handshake waits for a decision."`
	AddressesUnknown  uint64            `json:"addresses_unknown" metric:"client_addresses_unknown_total" help:"Clients that trusted proxies did not name."`
	Disconnects       map[string]uint64 `json:"disconnects" metric:"client_disconnects_total" label:"reason" help:"Ends of clients' connections, by reason."`
	HandshakeFailures map[string]uint64 `json:"handshake_failures" metric:"handshake_failures_total" label:"reason" help:"Handshakes of clients that were refused or broken off, by reason."`
	Turns             Histogram         `json:"turn_seconds" metric:"shard_turn_seconds" help:"How long the turns of shards take, from the end of one wait for sockets to the next."`
	PublishToWrite    Histogram         `json:"publish_to_write_seconds" metric:"publish_to_write_seconds" help:"From an event being taken from its publisher, after any wait for credit, to its last write on a shard, or into the backlogs of those who lag, once for each shard that serves it."`
}

// Publish is what the publish port and the API have counted, or one loop of the
// publish port.
type Publish struct {
	Publishers  int64             `json:"publishers" metric:"publishers" help:"Connections to the publish port."`
	Paused      int64             `json:"paused" metric:"publishers_paused" help:"Connections to the publish port that wait for credit."`
	CreditWait  float64           `json:"credit_wait_seconds" metric:"credit_wait_seconds_total" help:"For how long publishers and clients that publish waited for credit, all added up."`
	Requests    uint64            `json:"requests" metric:"publish_requests_total" help:"Well-formed requests to publish, on the publish port or by the API, that found credit."`
	Events      uint64            `json:"events" metric:"publish_events_total" help:"Events sequenced for the publish port and the API."`
	Duplicates  uint64            `json:"duplicates" metric:"publish_duplicates_total" help:"Events for the publish port and the API that were not published, because they have the idempotency text of an earlier one."`
	BytesIn     uint64            `json:"bytes_in" metric:"publish_received_bytes_total" help:"Bytes received on the publish port."`
	BytesOut    uint64            `json:"bytes_out" metric:"publish_reply_bytes_total" help:"Bytes of replies on the publish port, those that still wait included."`
	ReadCuts    uint64            `json:"read_cuts" metric:"publish_read_cuts_total" help:"Times the input of a publisher was left for a later turn, to let others have theirs."`
	Errors      map[string]uint64 `json:"errors" metric:"publish_errors_total" label:"code" help:"Requests to publish, on the publish port or by the API, that were refused, by code."`
	Refused     map[string]uint64 `json:"refused" metric:"publishers_refused_total" label:"reason" help:"Connections to the publish port that were turned away, by reason."`
	Ended       map[string]uint64 `json:"ended" metric:"publishers_ended_total" label:"reason" help:"Connections that the publish port ended, by reason."`
	InputBytes  int64             `json:"input_bytes" metric:"publish_input_bytes" help:"What unfinished requests of publishers hold."`
	CreditsUsed int64             `json:"credits_used_bytes" metric:"credits_used_bytes" help:"Credits that events under way hold."`
	Streams     int64             `json:"streams" metric:"streams" help:"Channels whose offsets the gateway keeps, with or without subscribers."`

	StreamsUnused int64 `json:"streams_unused" metric:"streams_unused" help:"Of them, those without subscribers, which make room for others."`
	// Of what is kept of events.
	HistoryEvents  int64  `json:"history_events" metric:"history_events" help:"Events that are kept for clients that come back."`
	HistoryBytes   int64  `json:"history_bytes" metric:"history_bytes" help:"Memory that they take."`
	HistoryEvicted uint64 `json:"history_evicted" metric:"history_evicted_total" help:"Channels whose history was given up early, to make room for that of others."`

	// Of idempotency texts.
	TextsKept    int64  `json:"idempotency_texts" metric:"idempotency_texts" help:"Idempotency texts that are remembered."`
	TextsEvicted uint64 `json:"idempotency_texts_evicted" metric:"idempotency_texts_evicted_total" help:"Idempotency texts that were forgotten early, to make room for others."`

	StreamsEvicted uint64 `json:"streams_evicted" metric:"streams_evicted_total" help:"Channels without subscribers that were forgotten early, to make room for others."`
	EventsUnkept   uint64 `json:"events_unkept" metric:"events_unkept_total" help:"Events to channels without subscribers for which there was no room: their position was not kept."`
}

// Compression is what was compressed for clients: an event once for each
// format that was needed, however many clients got it.
type Compression struct {
	Events   uint64 `json:"events" metric:"compressed_events_total" help:"Events compressed, once for each format that subscribers needed."`
	BytesIn  uint64 `json:"bytes_in" metric:"compression_input_bytes_total" help:"Bytes of events that were compressed."`
	BytesOut uint64 `json:"bytes_out" metric:"compression_output_bytes_total" help:"What became of them, frame headers included."`
}

// Limits are the limits in effect that counters are compared with.
type Limits struct {
	MaxClients    int   `json:"max_clients" metric:"client_connections_limit" help:"The most sockets of clients that are accepted."`
	MaxPublishers int   `json:"max_publishers" metric:"publishers_limit" help:"The most connections to the publish port that are accepted."`
	MaxChannels   int   `json:"max_channels" metric:"streams_limit" help:"The most channels that the gateway keeps."`
	Subscriptions int   `json:"max_subscriptions" metric:"subscriptions_limit" help:"The most subscriptions of all clients together."`
	Credits       int64 `json:"credits_bytes" metric:"credits_limit_bytes" help:"Credits in all; publishers wait when they are used up."`
	Backlog       int   `json:"backlog_bytes"` // of one client
	BacklogMemory int64 `json:"backlog_memory_bytes" metric:"backlog_memory_limit_bytes" help:"The most that backlogs may hold; beyond, the largest are cut."`
	HistoryMemory int64 `json:"history_memory_bytes" metric:"history_limit_bytes" help:"The most that histories may hold; beyond it those that were not used for the longest time are given up."`
	InputMemory   int64 `json:"input_memory_bytes" metric:"input_memory_limit_bytes" help:"The most that each of these may hold; beyond it some are closed."`
	ConnectQueue  int   `json:"connect_queue" metric:"connects_queued_limit" help:"The most that may wait; more are turned away. 0 if connects have no rate."`
}

// Gateway is what /api/stats answers.
type Gateway struct {
	StartedAt time.Time `json:"started_at"`
	Ready     bool      `json:"ready"`
	Limits    Limits    `json:"limits"`

	Total   Shard   `json:"total"`
	Shards  []Shard `json:"shards" metric:"shards" help:"Loops that serve clients."`
	Publish Publish `json:"publish"`

	BacklogMemory  int64 `json:"backlog_memory_bytes" metric:"backlog_memory_bytes" help:"What the backlogs hold alive; an event that waits for many clients counts once."`
	ClientInput    int64 `json:"client_input_bytes" metric:"client_input_bytes" help:"What unfinished messages and handshakes of clients hold."`
	ClientContexts int64 `json:"client_context_bytes" metric:"client_context_bytes" help:"What the windows of clients that compress with context may take."`

	Compression Compression `json:"compression"`

	ClientAddresses int64 `json:"client_addresses" metric:"client_addresses" help:"Addresses of clients that are counted; 0 if nothing is bounded per address."`

	UsersBlocked int64 `json:"users_blocked" metric:"users_blocked" help:"Users who may not connect for some time, because an operator or a publisher has said so."`

	Tokens      Tokens      `json:"tokens"`
	ConnectHook ConnectHook `json:"connect_hook"`
	// SubscribeHooks are those hooks by their names.
	SubscribeHooks map[string]SubscribeHook `json:"subscribe_hooks" each:"hook"`

	AdminRefused map[string]uint64 `json:"admin_refused" metric:"admin_refused_total" label:"reason" help:"Requests and connections that the admin port refused, by reason."`
}

// NewShard returns counters that are 0.
func NewShard() Shard {
	return Shard{
		CommandErrors:     make(map[string]uint64),
		Disconnects:       make(map[string]uint64),
		HandshakeFailures: make(map[string]uint64),
		Recoveries:        make(map[string]uint64),
	}
}

// NewPublish returns counters that are 0.
func NewPublish() Publish {
	return Publish{Errors: make(map[string]uint64), Refused: make(map[string]uint64), Ended: make(map[string]uint64)}
}

// Snapshot is a copy of the counters that shares nothing with them.
func (s *Shard) Snapshot() Shard {
	c := *s
	c.CommandErrors, c.Disconnects, c.HandshakeFailures = maps.Clone(s.CommandErrors), maps.Clone(s.Disconnects), maps.Clone(s.HandshakeFailures)
	c.Recoveries = maps.Clone(s.Recoveries)
	c.Turns, c.PublishToWrite = s.Turns.Snapshot(), s.PublishToWrite.Snapshot()
	return c
}

// Add adds the counters of a snapshot.
func (s *Shard) Add(other *Shard) { add(s, other) }

// Add adds counters.
func (p *Publish) Add(other *Publish) { add(p, other) }
