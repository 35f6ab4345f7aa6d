package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"fleetcast/codec/command"
	"fleetcast/codec/websocket"
)

// The names below are an interface: dashboards and alerts are built on them.
// docs/operations.md says what to watch. Labels take values from short fixed
// sets only; neither channels nor clients are among them.

// plainMetric is a metric of one series.
type plainMetric struct {
	name  string // without the prefix
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*statsCollector) float64
}

// labelledMetric is a counter with one series per value of its label.
type labelledMetric struct {
	name   string // without the prefix
	label  string // the label's name
	desc   *prometheus.Desc
	known  []string // exported also while they are 0, so that a first increase shows
	counts func(*statsCollector) map[string]uint64
}

var plainMetrics = []plainMetric{
	gauge("client_connections", "Sockets of clients, those included that wait for their turn or are in their handshake.",
		func(c *statsCollector) int64 { return c.stats.Total.Connections }),
	gauge("client_connections_limit", "The most sockets of clients that are accepted.",
		func(c *statsCollector) int64 { return int64(c.stats.Limits.MaxClients) }),
	gauge("connects_queued", "Accepted sockets of clients that wait for their turn to be served.",
		func(c *statsCollector) int64 { return c.stats.Total.ConnectsQueued }),
	gauge("connects_queued_limit", "The most that may wait; more are turned away. 0 if connects have no rate.",
		func(c *statsCollector) int64 { return int64(c.stats.Limits.ConnectQueue) }),
	gauge("client_addresses", "Addresses of clients that are counted; 0 if nothing is bounded per address.",
		func(c *statsCollector) int64 { return c.stats.ClientAddresses }),
	counter("client_addresses_unknown_total", "Clients that trusted proxies did not name.",
		func(c *statsCollector) uint64 { return c.stats.Total.AddressesUnknown }),
	gauge("clients", "Clients past their handshake.",
		func(c *statsCollector) int64 { return c.stats.Total.Clients }),
	gauge("clients_compressed", "Clients that have agreed on permessage-deflate.",
		func(c *statsCollector) int64 { return c.stats.Total.CompressedClients }),
	gauge("subscriptions", "Subscriptions of all clients.",
		func(c *statsCollector) int64 { return c.stats.Total.Subscriptions }),
	gauge("subscriptions_limit", "The most subscriptions of all clients together.",
		func(c *statsCollector) int64 { return int64(c.stats.Limits.Subscriptions) }),
	gauge("shard_channels", "Channels with a subscriber, once for each shard that has one.",
		func(c *statsCollector) int64 { return c.stats.Total.Channels }),
	gauge("streams", "Channels whose offsets the gateway keeps, with or without subscribers.",
		func(c *statsCollector) int64 { return c.stats.Publish.Streams }),
	gauge("streams_unused", "Of them, those without subscribers, which make room for others.",
		func(c *statsCollector) int64 { return c.stats.Publish.StreamsUnused }),
	counter(metricStreamsEvicted, "Channels without subscribers that were forgotten early, to make room for others.",
		func(c *statsCollector) uint64 { return c.stats.Publish.StreamsEvicted }),
	counter(metricEventsUnkept, "Events to channels without subscribers for which there was no room: their position was not kept.",
		func(c *statsCollector) uint64 { return c.stats.Publish.EventsUnkept }),
	gauge("streams_limit", "The most channels that the gateway keeps.",
		func(c *statsCollector) int64 { return int64(c.stats.Limits.MaxChannels) }),
	gauge("shards", "Loops that serve clients.",
		func(c *statsCollector) int64 { return int64(len(c.stats.Shards)) }),
	gauge("shard_mailbox_depth", "Events that waited in the mailboxes of shards when these looked.",
		func(c *statsCollector) int64 { return c.stats.Total.MailboxDepth }),
	gauge("shard_queued_events", "Events that shards have taken and not yet served to all subscribers.",
		func(c *statsCollector) int64 { return c.stats.Total.QueuedEvents }),
	gauge("clients_lagging", "Clients for which something waits that their sockets have not taken.",
		func(c *statsCollector) int64 { return c.stats.Total.Lagging }),
	gauge("clients_paused", "Clients that are not read because their publish waits for credit.",
		func(c *statsCollector) int64 { return c.stats.Total.Paused }),
	gauge("backlog_bytes", "Bytes that wait for clients which lag.",
		func(c *statsCollector) int64 { return c.stats.Total.BacklogBytes }),
	gauge("backlog_memory_bytes", "What the backlogs hold alive; an event that waits for many clients counts once.",
		func(c *statsCollector) int64 { return c.stats.BacklogMemory }),
	gauge("client_input_bytes", "What unfinished messages and handshakes of clients hold.",
		func(c *statsCollector) int64 { return c.stats.ClientInput }),
	gauge("client_context_bytes", "What the windows of clients that compress with context may take.",
		func(c *statsCollector) int64 { return c.stats.ClientContexts }),
	gauge("publish_input_bytes", "What unfinished requests of publishers hold.",
		func(c *statsCollector) int64 { return c.stats.Publish.InputBytes }),
	gauge("input_memory_limit_bytes", "The most that each of these may hold; beyond it some are closed.",
		func(c *statsCollector) int64 { return c.stats.Limits.InputMemory }),
	gauge("backlog_memory_limit_bytes", "The most that backlogs may hold; beyond, the largest are cut.",
		func(c *statsCollector) int64 { return c.stats.Limits.BacklogMemory }),
	counter("client_connections_accepted_total", "Sockets of clients that were accepted and found room.",
		func(c *statsCollector) uint64 { return c.stats.Total.Accepted }),
	counter("client_received_bytes_total", "Bytes received from clients.",
		func(c *statsCollector) uint64 { return c.stats.Total.BytesIn }),
	counter("client_sent_bytes_total", "Bytes that the sockets of clients have taken.",
		func(c *statsCollector) uint64 { return c.stats.Total.BytesOut }),
	counter("client_messages_total", "Messages received from clients.",
		func(c *statsCollector) uint64 { return c.stats.Total.ClientMessages }),
	counter("client_published_events_total", "Events published by clients.",
		func(c *statsCollector) uint64 { return c.stats.Total.ClientPublished }),
	counter("shard_events_total", "Events taken by shards for their subscribers, once for each such shard.",
		func(c *statsCollector) uint64 { return c.stats.Total.Events }),
	counter("deliveries_total", "Events times subscribers, handed to the socket or to the backlog.",
		func(c *statsCollector) uint64 { return c.stats.Total.Deliveries }),
	counter("dropped_events_total", "Events times subscribers that were not delivered because these lag, and are told as gaps.",
		func(c *statsCollector) uint64 { return c.stats.Total.Dropped }),
	counter("gaps_total", "Gaps told.",
		func(c *statsCollector) uint64 { return c.stats.Total.Gaps }),
	counter("writes_total", "Sends to sockets of clients, replies and pings included.",
		func(c *statsCollector) uint64 { return c.stats.Total.Writes }),
	counter("fan_out_cuts_total", "Fan-outs interrupted to let other channels and sockets have their turn.",
		func(c *statsCollector) uint64 { return c.stats.Total.FanOutCuts }),
	counter("read_cuts_total", "Times the input of a client was left for the next turn, to let others have theirs.",
		func(c *statsCollector) uint64 { return c.stats.Total.ReadCuts }),
	counter(metricThrottles, "Times a client was not read for a while, because it had sent far more than its rate allows.",
		func(c *statsCollector) uint64 { return c.stats.Total.Throttles }),
	counter("compressed_events_total", "Events compressed, once for each format that subscribers needed.",
		func(c *statsCollector) uint64 { return c.stats.Compression.Events }),
	counter("compression_input_bytes_total", "Bytes of events that were compressed.",
		func(c *statsCollector) uint64 { return c.stats.Compression.BytesIn }),
	counter("compression_output_bytes_total", "What became of them, frame headers included.",
		func(c *statsCollector) uint64 { return c.stats.Compression.BytesOut }),
	gauge("publishers", "Connections to the publish port.",
		func(c *statsCollector) int64 { return c.stats.Publish.Publishers }),
	gauge("publishers_paused", "Connections to the publish port that wait for credit.",
		func(c *statsCollector) int64 { return c.stats.Publish.Paused }),
	gauge("publishers_limit", "The most connections to the publish port that are accepted.",
		func(c *statsCollector) int64 { return int64(c.stats.Limits.MaxPublishers) }),
	plainMetric{metricCreditWaits, describe(metricCreditWaits, "For how long publishers and clients that publish waited for credit, all added up."), prometheus.CounterValue,
		func(c *statsCollector) float64 { return c.stats.Publish.CreditWait + c.stats.Total.CreditWait }},
	gauge("credits_used_bytes", "Credits that events under way hold.",
		func(c *statsCollector) int64 { return c.stats.Publish.CreditsUsed }),
	gauge("credits_limit_bytes", "Credits in all; publishers wait when they are used up.",
		func(c *statsCollector) int64 { return c.stats.Limits.Credits }),
	counter("publish_requests_total", "Well-formed requests to publish, on the publish port or by the API, that found credit.",
		func(c *statsCollector) uint64 { return c.stats.Publish.Requests }),
	counter("publish_events_total", "Events sequenced for the publish port and the API.",
		func(c *statsCollector) uint64 { return c.stats.Publish.Events }),
	counter("publish_received_bytes_total", "Bytes received on the publish port.",
		func(c *statsCollector) uint64 { return c.stats.Publish.BytesIn }),
	counter("publish_reply_bytes_total", "Bytes of replies on the publish port, those that still wait included.",
		func(c *statsCollector) uint64 { return c.stats.Publish.BytesOut }),
	counter("publish_read_cuts_total", "Times the input of a publisher was left for a later turn, to let others have theirs.",
		func(c *statsCollector) uint64 { return c.stats.Publish.ReadCuts }),
}

var labelledMetrics = []labelledMetric{
	{
		name: metricDisconnects, label: "reason",
		desc:   describe(metricDisconnects, "Ends of clients' connections, by reason.", "reason"),
		known:  disconnectNames[undecided+1:],
		counts: func(c *statsCollector) map[string]uint64 { return c.stats.Total.Disconnects },
	},
	{
		name: metricHandshakes, label: "reason",
		desc: describe(metricHandshakes, "Handshakes of clients that were refused or broken off, by reason.", "reason"),
		known: []string{
			websocket.ReasonMalformedRequest, websocket.ReasonTLS, websocket.ReasonProxyHeader, websocket.ReasonBadHTTPVersion, websocket.ReasonBadMethod,
			websocket.ReasonNotFound, websocket.ReasonNotWebSocket, websocket.ReasonBadHost, websocket.ReasonNoUpgrade, websocket.ReasonBadVersion,
			websocket.ReasonBadKey, websocket.ReasonUnexpectedBody, websocket.ReasonForbiddenOrigin, errForbiddenHost.Reason,
			websocket.ReasonHeadTooLarge, websocket.ReasonTargetTooLong, websocket.ReasonTooSlow, websocket.ReasonFull,
			errDraining.Reason, errHTTPBusy.Reason, reasonVanished,
			errConnectRate.Reason, errAddressFull.Reason, errAddressRate.Reason, reasonBadProxyHeader, errInputFull.Reason,
		},
		counts: func(c *statsCollector) map[string]uint64 { return c.stats.Total.HandshakeFailures },
	},
	{
		name: metricPublishErrors, label: "code",
		desc: describe(metricPublishErrors, "Requests to publish, on the publish port or by the API, that were refused, by code.", "code"),
		known: []string{
			string(command.BadRequest), string(command.BadChannel), string(command.LimitExceeded),
			string(command.PermissionDenied), string(command.RateLimited), string(command.NotAvailable), string(command.Internal),
		},
		counts: func(c *statsCollector) map[string]uint64 { return c.stats.Publish.Errors },
	},
	{
		name: metricCommandErrors, label: "code",
		desc: describe(metricCommandErrors, "Commands of clients that were answered with an error, by code.", "code"),
		known: []string{
			string(command.BadRequest), string(command.UnknownType), string(command.BadChannel),
			string(command.AlreadySubscribed), string(command.NotSubscribed), string(command.PermissionDenied),
			string(command.LimitExceeded), string(command.RateLimited), string(command.NotAvailable), string(command.Internal),
		},
		counts: func(c *statsCollector) map[string]uint64 { return c.stats.Total.CommandErrors },
	},
	{
		name: metricPublishers, label: "reason",
		desc:   describe(metricPublishers, "Connections to the publish port that were turned away, by reason.", "reason"),
		known:  []string{refusedFull, refusedDraining},
		counts: func(c *statsCollector) map[string]uint64 { return c.stats.Publish.Refused },
	},
	{
		name: metricPublishersEnded, label: "reason",
		desc:   describe(metricPublishersEnded, "Connections that the publish port ended, by reason.", "reason"),
		known:  []string{endedSilent, endedUnfinished, endedReplaced, endedInputFull},
		counts: func(c *statsCollector) map[string]uint64 { return c.stats.Publish.Ended },
	},
	{
		name: metricAdminRefused, label: "reason",
		desc:   describe(metricAdminRefused, "Requests and connections that the admin port refused, by reason.", "reason"),
		known:  adminRefusedReasons,
		counts: func(c *statsCollector) map[string]uint64 { return c.stats.AdminRefused },
	},
}

// timeMetric is a histogram of durations.
type timeMetric struct {
	desc  *prometheus.Desc
	value func(*statsCollector) *Histogram
}

var timeMetrics = []timeMetric{
	{
		describe("publish_to_write_seconds", "From an event being taken from its publisher, after any wait for credit, to its last write on a shard, or into the backlogs of those who lag, once for each shard that serves it."),
		func(c *statsCollector) *Histogram { return &c.stats.Total.PublishToWrite },
	},
	{
		describe("shard_turn_seconds", "How long the turns of shards take, from the end of one wait for sockets to the next."),
		func(c *statsCollector) *Histogram { return &c.stats.Total.Turns },
	},
}

func gauge(name, help string, value func(*statsCollector) int64) plainMetric {
	return plainMetric{name, describe(name, help), prometheus.GaugeValue,
		func(c *statsCollector) float64 { return float64(value(c)) }}
}

func counter(name, help string, value func(*statsCollector) uint64) plainMetric {
	return plainMetric{name, describe(name, help), prometheus.CounterValue,
		func(c *statsCollector) float64 { return float64(value(c)) }}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName("fleetcast", "", name), help, labels, nil)
}
