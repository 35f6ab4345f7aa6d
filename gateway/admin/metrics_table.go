package admin

import (
	"fleetcast/codec/command"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/authority"
	"fleetcast/gateway/hook"
	"fleetcast/gateway/ingest"
	"fleetcast/gateway/plainhttp"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/shard"
	"fleetcast/gateway/stats"
	"fleetcast/gateway/token"
)

// LabelValues are the values that the label of a metric can take. They are exported
// even while they are 0, so that a first increase shows.
var LabelValues = map[string][]string{
	stats.MetricDisconnects: shard.DisconnectNames[shard.Undecided+1:],
	stats.MetricHandshakes: {
		websocket.ReasonMalformedRequest, websocket.ReasonTLS, websocket.ReasonProxyHeader, websocket.ReasonBadHTTPVersion, websocket.ReasonBadMethod,
		websocket.ReasonNotFound, websocket.ReasonNotWebSocket, websocket.ReasonBadHost, websocket.ReasonNoUpgrade, websocket.ReasonBadVersion,
		websocket.ReasonBadKey, websocket.ReasonUnexpectedBody, websocket.ReasonForbiddenOrigin, settings.ErrForbiddenHost.Reason,
		websocket.ReasonHeadTooLarge, websocket.ReasonTargetTooLong, websocket.ReasonTooSlow, websocket.ReasonFull,
		shard.ErrDraining.Reason, plainhttp.ErrBusy.Reason, shard.ReasonVanished,
		shard.ErrConnectRate.Reason, shard.ErrAddressFull.Reason, shard.ErrAddressRate.Reason, shard.ReasonBadProxyHeader, shard.ErrInputFull.Reason,
		shard.ErrUndecided.Reason, shard.ErrDecisionsFull.Reason, shard.ErrDeciderFailed.Reason, settings.ReasonRefused,
		authority.Refused, authority.Unavailable, shard.ReasonBadCredentials, shard.ReasonUserBlocked, shard.ReasonUserFull, shard.ReasonUserRate,
	},
	stats.MetricPublishErrors: {
		string(command.BadRequest), string(command.BadChannel), string(command.LimitExceeded),
		string(command.PermissionDenied), string(command.RateLimited), string(command.NotAvailable), string(command.Internal),
		string(command.AuthenticationRequired), string(command.InvalidKey), string(command.Conflict),
	},
	stats.MetricCommandErrors: {
		string(command.BadRequest), string(command.UnknownType), string(command.BadChannel),
		string(command.AlreadySubscribed), string(command.NotSubscribed), string(command.PermissionDenied),
		string(command.LimitExceeded), string(command.RateLimited), string(command.NotAvailable), string(command.Internal),
		string(command.AuthenticationRequired), string(command.Conflict), authority.Refused, authority.Unavailable, shard.ReasonUserBlocked, shard.ReasonUserFull, shard.ReasonUserRate,
	},
	stats.MetricRecoveries:      shard.RecoveryOutcomes,
	stats.MetricTokensRefused:   token.Reasons(),
	stats.MetricConnectHook:     hook.Outcomes,
	stats.MetricSubscribeHook:   hook.Outcomes,
	stats.MetricPublishers:      {ingest.RefusedFull, ingest.RefusedDraining},
	stats.MetricPublishersEnded: {ingest.EndedSilent, ingest.EndedUnfinished, ingest.EndedReplaced, ingest.EndedInputFull, ingest.EndedNoKey},
	stats.MetricAdminRefused:    refusedReasons,
}
