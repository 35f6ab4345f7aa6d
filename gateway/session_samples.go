package gateway

import (
	"log/slog"
	"time"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stats"
)

// Identity is how log lines name a client. It implements starver.
func (c *session) Identity() []slog.Attr {
	attrs := []slog.Attr{slog.String("client", c.clientID())}
	if address := c.address(); address != "" {
		attrs = append(attrs, slog.String("address", address))
	}
	return attrs
}

// sampleEnd keeps the session as a sample of those that end for this reason. It must be
// called while the socket is open, because the socket knows the address. Only the
// kernel's own timeout is noticed too late for that.
func (c *session) sampleEnd(reason disconnect) {
	s := c.shard
	key := stats.IncidentKey{Metric: stats.MetricDisconnects, Label: disconnectNames[reason]}
	if c.id == 0 || !s.samples.Wants(key) {
		return
	}
	attrs := c.Identity()
	if b := c.backlog; b != nil {
		if channel := b.Channel(); channel != "" {
			attrs = append(attrs, slog.String("channel", stats.Clip(channel)))
		}
		attrs = append(attrs, slog.Int("backlog_bytes", b.Bytes), slog.Duration("oldest", b.Oldest(s.loop.Now()).Round(10*time.Millisecond)))
	}
	s.samples.Keep(key, attrs...)
}

// sampleRefused keeps the session as a sample of those whose handshake is refused.
func (c *session) sampleRefused(refused *websocket.HandshakeError) {
	key := stats.IncidentKey{Metric: stats.MetricHandshakes, Label: refused.Reason}
	if c.shard.samples.Wants(key) {
		c.shard.samples.Keep(key, slog.String("address", c.address()))
	}
}

// sampleHead is sampleRefused for a request whose head is known. It also keeps the
// origin of a page that was refused, and the host of a request to an unknown host.
func (c *session) sampleHead(refused *websocket.HandshakeError, head []byte) {
	var names [][]byte
	switch refused.Reason {
	case websocket.ReasonForbiddenOrigin:
		names = websocket.FieldValues(nil, head, "origin")
	case settings.ErrForbiddenHost.Reason:
		names = [][]byte{websocket.RequestHost(head)}
	default:
		return
	}
	c.sampleRefused(refused)
	for _, value := range names {
		c.shard.samples.Name(stats.IncidentKey{Metric: stats.MetricHandshakes, Label: refused.Reason}, stats.Clip(string(value)))
	}
}
