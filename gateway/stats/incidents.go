package stats

// The metrics that count whoever is refused or cut off, without the prefix. An
// [IncidentKey] names one of them.
const (
	MetricDisconnects      = "client_disconnects_total"
	MetricHandshakes       = "handshake_failures_total"
	MetricCommandErrors    = "client_command_errors_total"
	MetricPublishErrors    = "publish_errors_total"
	MetricPublishers       = "publishers_refused_total"
	MetricPublishersEnded  = "publishers_ended_total"
	MetricTokensRefused    = "tokens_refused_total"
	MetricConnectHook      = "connect_hook_requests_total"
	MetricSubscribeHook    = "subscribe_hook_requests_total"
	MetricDropped          = "dropped_events_total"
	MetricAddressesUnknown = "client_addresses_unknown_total"
	MetricThrottles        = "throttles_total"
	MetricStreamsEvicted   = "streams_evicted_total"
	MetricEventsUnkept     = "events_unkept_total"
	MetricHistoryEvicted   = "history_evicted_total"
	MetricRecoveries       = "recoveries_total"
	MetricAdminRefused     = "admin_refused_total"
	MetricTextsEvicted     = "idempotency_texts_evicted_total"
)
