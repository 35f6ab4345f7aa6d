package gateway

import (
	"fleetcast/codec/command"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/admin"
	"fleetcast/gateway/authority"
	"fleetcast/gateway/ingest"
	"fleetcast/gateway/plainhttp"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/shard"
	"fleetcast/gateway/stats"
	"fleetcast/gateway/webport"
)

// incidentMessages say what a metric of the kinds below counts. They are the
// messages of the log lines, which docs/operations.md explains.
var incidentMessages = map[string]string{
	stats.MetricDisconnects:      "clients were cut off",
	stats.MetricHandshakes:       "handshakes of clients were refused",
	stats.MetricCommandErrors:    "commands of clients were refused",
	stats.MetricPublishErrors:    "requests to publish were refused",
	stats.MetricPublishers:       "connections to the publish port were turned away",
	stats.MetricPublishersEnded:  "connections to the publish port were ended",
	stats.MetricDropped:          "events were dropped for clients that do not keep up, which are told of the gap",
	stats.MetricStreamsEvicted:   "channels without subscribers were forgotten before --retention was over, to make room for others",
	stats.MetricEventsUnkept:     "positions of channels without subscribers were not kept, for want of room",
	stats.MetricHistoryEvicted:   "histories of channels were given up before their own bounds were reached, to make room for others",
	stats.MetricTextsEvicted:     "idempotency texts were forgotten early, for want of room",
	stats.MetricThrottles:        "clients were not read for a while: they had sent far more than their rate allows",
	stats.MetricAdminRefused:     "requests to the admin port were refused",
	stats.CreditWaits:            "publishers were not read for so many seconds in all, because they waited for credit: their events come faster than they go out",
	stats.MetricAddressesUnknown: "trusted proxies did not say whose connections they pass on, so no limit per address holds for these",
}

// incidentKind is how one kind of incident is logged.
type incidentKind struct {
	advice string // what to do about it, or empty
	usual  bool   // single clients cause it every day: only many cases are a warning
	names  string // the attribute for the sample's names
}

// What is advised about several kinds.
const (
	adviceSlow    = "see what is loud: /api/channels?order=bytes, /api/publishers; and who lags: /api/laggards; then --slow-policy"
	adviceFull    = "raise --max-clients and the descriptor limit, or add a gateway"
	adviceNetwork = "many at once share a network or a proxy; see whether one closes idle connections sooner than --ping-interval"
	adviceUntaken = "they took nothing of what was sent: their network is gone, or they stopped reading; many at once share a network, a proxy, or a loud channel: see /api/channels?order=bytes"
	adviceProxy   = "see whether a proxy in front passes Host, Upgrade, Connection and the path /ws on"
	adviceClient  = "the example's message says what is wrong; many are a bug of the clients, or abuse"
	adviceLimit   = "the example's message names the limit; see docs/operations.md#limits"
	adviceNames   = "see who makes up names of channels: /api/channels, /api/publishers; else raise --max-channels"
	adviceToken   = "fleetcast_tokens_refused_total counts the reasons; the client is told, too; fleetcast token --explain looks at one token"

	adviceUnverified = "see fleetcast_token_issuers_failing, fleetcast_token_verifications_waiting and fleetcast_connect_hook_requests_total"

	adviceSender = "these events are lost; /api/publishers shows who sends them"
)

// incidentKinds are the counters that mean that somebody was refused or cut off.
// Each counter is here or in notIncidents; one with a label is here with each value.
var incidentKinds = map[stats.IncidentKey]incidentKind{
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.SlowConsumer]}:   {advice: adviceSlow},
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.BacklogsFull]}:   {advice: adviceSlow + ", --backlog-memory"},
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.PingTimeout]}:    {advice: adviceNetwork, usual: true},
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.SendTimeout]}:    {advice: adviceUntaken, usual: true},
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.ProtocolError]}:  {advice: "see what these clients are, and whether a proxy changes what they send", usual: true},
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.MessageTimeout]}: {advice: "the network is slow, or somebody holds half messages; see --message-timeout", usual: true},
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.InputFull]}:      {advice: "see who sends half messages; else raise --input-memory"},
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.MessageTooBig]}:  {advice: "clients send messages above --max-message", usual: true},

	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.Unauthenticated]}: {advice: "clients connect and do not show a good token in time; see docs/protocol.md#who-a-client-is", usual: true},

	{Metric: stats.MetricHandshakes, Label: authority.Refused}:          {advice: adviceToken, usual: true, names: "reasons"},
	{Metric: stats.MetricHandshakes, Label: authority.Unavailable}:      {advice: adviceUnverified, names: "reasons"},
	{Metric: stats.MetricHandshakes, Label: shard.ReasonBadCredentials}: {advice: adviceClient, usual: true},
	{Metric: stats.MetricHandshakes, Label: shard.ReasonUserBlocked}:    {advice: "an operator has blocked these users; see /api/users/", usual: true},
	{Metric: stats.MetricHandshakes, Label: shard.ReasonUserFull}:       {advice: "one user has --user-clients connections"},
	{Metric: stats.MetricHandshakes, Label: shard.ReasonUserRate}:       {advice: "one user connects more often than --user-connects allows"},

	{Metric: stats.MetricCommandErrors, Label: string(command.AuthenticationRequired)}: {advice: "clients send commands before they show a token", usual: true},
	{Metric: stats.MetricCommandErrors, Label: authority.Refused}:                      {advice: adviceToken, usual: true},
	{Metric: stats.MetricCommandErrors, Label: authority.Unavailable}:                  {advice: adviceUnverified},
	{Metric: stats.MetricCommandErrors, Label: shard.ReasonUserBlocked}:                {advice: "an operator has blocked these users; see /api/users/", usual: true},
	{Metric: stats.MetricCommandErrors, Label: shard.ReasonUserFull}:                   {advice: "one user has --user-clients connections"},
	{Metric: stats.MetricCommandErrors, Label: shard.ReasonUserRate}:                   {advice: "one user connects more often than --user-connects allows"},

	{Metric: stats.MetricHandshakes, Label: websocket.ReasonFull}:             {advice: adviceFull},
	{Metric: stats.MetricHandshakes, Label: shard.ErrConnectRate.Reason}:      {advice: "more clients come than --connects admits; they are told when to come back"},
	{Metric: stats.MetricHandshakes, Label: shard.ErrAddressFull.Reason}:      {advice: "one address has --address-clients connections; behind a proxy set --trusted-proxies and --proxy-header"},
	{Metric: stats.MetricHandshakes, Label: shard.ErrAddressRate.Reason}:      {advice: "one address connects more often than --address-connects allows; behind a proxy set --trusted-proxies and --proxy-header"},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonForbiddenOrigin}:  {advice: "if these are your pages, add their origins to --allow-origin", names: "origins"},
	{Metric: stats.MetricHandshakes, Label: settings.ErrForbiddenHost.Reason}: {advice: "if clients use these host names, add them to --allow-host", names: "hosts"},
	{Metric: stats.MetricHandshakes, Label: shard.ReasonBadProxyHeader}:       {advice: "a trusted proxy sends no PROXY protocol header: see its configuration and --proxy-header"},
	{Metric: stats.MetricHandshakes, Label: shard.ErrInputFull.Reason}:        {advice: "see who sends half requests; else raise --input-memory"},
	{Metric: stats.MetricHandshakes, Label: shard.ErrUndecided.Reason}:        {advice: "what decides who may connect answers too late; see what it waits for"},
	{Metric: stats.MetricHandshakes, Label: shard.ErrDeciderFailed.Reason}:    {advice: "what decides who may connect has panicked; this is a fault of it"},
	{Metric: stats.MetricHandshakes, Label: shard.ErrDecisionsFull.Reason}:    {advice: "what decides who may connect is too slow for so many; see what it waits for"},
	{Metric: stats.MetricHandshakes, Label: settings.ReasonRefused}:           {usual: true},
	{Metric: stats.MetricHandshakes, Label: plainhttp.ErrBusy.Reason}:         {advice: "pages or health checks are asked for more often than the client port serves them; let a load balancer ask /readyz on the admin port"},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonTooSlow}:          {advice: "the network is slow, or somebody holds connections open", usual: true},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonNotFound}:         {advice: "clients connect to " + settings.Path, usual: true},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonNotWebSocket}:     {advice: "clients connect to " + settings.Path, usual: true},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonNoUpgrade}:        {advice: adviceProxy, usual: true},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonBadHost}:          {advice: adviceProxy, usual: true},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonTLS}:              {advice: "clients use wss:// or https:// on this port, which takes no TLS: use ws://, or put a proxy that ends TLS before it"},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonProxyHeader}:      {advice: "a proxy sends a PROXY protocol header: start the gateway with --proxy-header proxy-protocol, and --trusted-proxies with the proxy's address"},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonMalformedRequest}: {advice: adviceProxy, usual: true},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonBadHTTPVersion}:   {advice: adviceProxy, usual: true},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonBadMethod}:        {advice: adviceProxy, usual: true},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonBadVersion}:       {advice: adviceProxy, usual: true},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonBadKey}:           {advice: adviceProxy, usual: true},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonUnexpectedBody}:   {advice: adviceProxy, usual: true},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonHeadTooLarge}:     {advice: "large cookies or header fields: see --max-head", usual: true},
	{Metric: stats.MetricHandshakes, Label: websocket.ReasonTargetTooLong}:    {advice: "see --max-head", usual: true},

	{Metric: stats.MetricCommandErrors, Label: string(command.LimitExceeded)}:     {advice: adviceLimit},
	{Metric: stats.MetricCommandErrors, Label: string(command.RateLimited)}:       {advice: "--client-commands, --client-publishes"},
	{Metric: stats.MetricCommandErrors, Label: string(command.Internal)}:          {advice: "this is a fault of the gateway"},
	{Metric: stats.MetricCommandErrors, Label: string(command.NotAvailable)}:      {usual: true},
	{Metric: stats.MetricCommandErrors, Label: string(command.PermissionDenied)}:  {advice: "clients may subscribe and publish where the rules for channels and their tokens say; see fleetcast config explain", usual: true},
	{Metric: stats.MetricCommandErrors, Label: string(command.BadRequest)}:        {advice: adviceClient, usual: true},
	{Metric: stats.MetricCommandErrors, Label: string(command.UnknownType)}:       {advice: adviceClient, usual: true},
	{Metric: stats.MetricCommandErrors, Label: string(command.BadChannel)}:        {advice: adviceClient, usual: true},
	{Metric: stats.MetricCommandErrors, Label: string(command.AlreadySubscribed)}: {advice: adviceClient, usual: true},
	{Metric: stats.MetricCommandErrors, Label: string(command.NotSubscribed)}:     {advice: adviceClient, usual: true},

	{Metric: stats.MetricPublishErrors, Label: string(command.BadRequest)}:       {advice: adviceSender},
	{Metric: stats.MetricPublishErrors, Label: string(command.BadChannel)}:       {advice: adviceSender},
	{Metric: stats.MetricPublishErrors, Label: string(command.LimitExceeded)}:    {advice: adviceSender + "; " + adviceLimit},
	{Metric: stats.MetricPublishErrors, Label: string(command.PermissionDenied)}: {advice: adviceSender},
	{Metric: stats.MetricPublishErrors, Label: string(command.RateLimited)}:      {advice: adviceSender + "; --publisher-rate, or the rate of the key"},
	{Metric: stats.MetricPublishErrors, Label: string(command.NotAvailable)}:     {advice: adviceSender},

	{Metric: stats.MetricPublishErrors, Label: string(command.AuthenticationRequired)}: {advice: "these publishers show no key; give them one with fleetcast key new, or see who they are"},
	{Metric: stats.MetricPublishErrors, Label: string(command.InvalidKey)}:             {advice: "these publishers show a key that is not in --publish-keys: it was removed, or somebody tries keys"},

	{Metric: stats.MetricPublishErrors, Label: string(command.Internal)}: {advice: adviceSender},

	{Metric: stats.MetricPublishers, Label: ingest.RefusedFull}: {advice: "see who opens connections and does not close them: /api/publishers; else raise --max-publishers"},

	{Metric: stats.MetricPublishersEnded, Label: ingest.EndedReplaced}:   {advice: "all places were taken, and these had published nothing for the longest time: see /api/publishers; else raise --max-publishers"},
	{Metric: stats.MetricPublishersEnded, Label: ingest.EndedInputFull}:  {advice: "see who sends half requests; else raise --input-memory"},
	{Metric: stats.MetricPublishersEnded, Label: ingest.EndedNoKey}:      {advice: "publishers connect and show no key, or their key was removed", usual: true},
	{Metric: stats.MetricPublishersEnded, Label: ingest.EndedUnfinished}: {advice: "the network is slow, or somebody holds connections open; see --message-timeout", usual: true},
	{Metric: stats.MetricPublishersEnded, Label: ingest.EndedSilent}:     {advice: "publishers connect before they have something to send: let them send a line end", usual: true},

	{Metric: stats.MetricAdminRefused, Label: admin.ForbiddenHost}:       {advice: "if this host name is yours, add it to --allow-host", names: "hosts"},
	{Metric: stats.MetricAdminRefused, Label: admin.ForbiddenOrigin}:     {advice: "if these are pages of this port behind a proxy, let it pass Host on, and add that name to --allow-host; pages of other origins cannot be allowed here (--allow-origin is for the client port)", names: "origins"},
	{Metric: stats.MetricAdminRefused, Label: admin.NoKey}:               {advice: "these requests show no key: give one out with fleetcast key new, or see who sends them", usual: true},
	{Metric: stats.MetricAdminRefused, Label: admin.WrongKey}:            {advice: "these requests show a key that is in neither --admin-keys nor --publish-keys: it was removed, or somebody tries keys"},
	{Metric: stats.MetricAdminRefused, Label: admin.OtherScope}:          {advice: "these requests show a key that is for something else; the answer says which is needed", usual: true},
	{Metric: stats.MetricAdminRefused, Label: admin.TooLarge}:            {advice: "events are bound by --max-event; other requests have short bodies, and GET requests none"},
	{Metric: stats.MetricAdminRefused, Label: admin.NotAvailable}:        {advice: "more is asked for than the admin port serves beside the clients, credits are used up, or loops do not answer; see who asks so often"},
	{Metric: stats.MetricAdminRefused, Label: webport.ReasonTLS}:         {advice: "use http:// and not https:// on this port, which takes no TLS, or put a proxy that ends TLS before it"},
	{Metric: stats.MetricAdminRefused, Label: webport.ReasonMalformed}:   {advice: "somebody sends what is no HTTP request to this port", usual: true},
	{Metric: stats.MetricAdminRefused, Label: webport.ReasonVersion}:     {advice: "this port speaks HTTP/1.1 and HTTP/1.0"},
	{Metric: stats.MetricAdminRefused, Label: webport.ReasonHeadTooLong}: {advice: "heads of requests to this port may have 64 KiB: see whether a proxy adds large header fields, or browsers large cookies"},

	{Metric: stats.CreditWaits, Label: ""}: {advice: "see who publishes: /api/publishers (paused); what is loud: /api/channels?order=bytes; else --publisher-credits for one, --credits for all", usual: true},

	{Metric: stats.MetricDropped, Label: ""}:          {advice: adviceSlow, usual: true},
	{Metric: stats.MetricStreamsEvicted, Label: ""}:   {advice: adviceNames},
	{Metric: stats.MetricEventsUnkept, Label: ""}:     {advice: adviceNames},
	{Metric: stats.MetricHistoryEvicted, Label: ""}:   {advice: "clients of channels that were not used for long find less to catch up with; raise --history-memory, or lower the bounds in --history"},
	{Metric: stats.MetricTextsEvicted, Label: ""}:     {advice: "more events with idempotency texts come than the gateway remembers for 5 minutes: one that is repeated late may be published twice", usual: true},
	{Metric: stats.MetricThrottles, Label: ""}:        {advice: "they flood, or --client-commands is too low for them", usual: true},
	{Metric: stats.MetricAddressesUnknown, Label: ""}: {advice: "see the proxies' configuration and --proxy-header"},
}

// notIncidents are the other counters of metrics that have a message, each with the reason
// why it is not logged.
var notIncidents = map[stats.IncidentKey]string{
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.ClientClosed]}:    "the client wants it",
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.ClientVanished]}:  "the client or its network does it",
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.HandshakeFailed]}: "counted by reason in " + stats.MetricHandshakes,
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.HTTPRequest]}:     "it is served",
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.Draining]}:        "the drain has lines of its own",
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.Disconnected]}:    "each has a line of its own",
	{Metric: stats.MetricDisconnects, Label: shard.DisconnectNames[shard.TokenExpired]}:    "the client was told when it would be",
	{Metric: stats.MetricHandshakes, Label: shard.ErrDraining.Reason}:                      "the drain has lines of its own",
	{Metric: stats.MetricHandshakes, Label: shard.ReasonVanished}:                          "the client does it, as probes of load balancers do",
	{Metric: stats.MetricPublishErrors, Label: string(command.Conflict)}:                   "the publisher has asked for it",
	{Metric: stats.MetricCommandErrors, Label: string(command.Conflict)}:                   "the client has asked for it",
	{Metric: stats.MetricPublishers, Label: ingest.RefusedDraining}:                        "the drain has lines of its own",
}
