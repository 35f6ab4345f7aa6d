package shard

import (
	"log/slog"
	"time"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stats"
)

// logConnected tells of a client whose handshake was accepted.
func (c *session) logConnected(origin []byte) {
	s := c.shard
	limit := s.shared.Settings.Config().ConnectionLog
	if limit == 0 {
		return
	}
	s.shared.Log.Write(limit, s.Loop.Now(), "client connected",
		slog.String("client", c.clientID()), slog.String("address", c.address()), slog.String("origin", string(origin)))
}

// logRefused tells of a client whose handshake was refused.
func (c *session) logRefused(reason string) {
	s := c.shard
	limit := s.shared.Settings.Config().ConnectionLog
	if limit == 0 {
		return
	}
	s.shared.Log.Write(limit, s.Loop.Now(), "handshake refused",
		slog.String("reason", reason), slog.String("address", c.address()))
}

// logTurnedAway tells of a client that was refused before it was read.
func (s *Shard) logTurnedAway(fd int, reason string) {
	limit := s.shared.Settings.Config().ConnectionLog
	if limit == 0 {
		return
	}
	s.shared.Log.Write(limit, s.Loop.Now(), "handshake refused",
		slog.String("reason", reason), slog.String("address", limits.PeerText(fd)))
}

// logGone tells of a client that was connected and is not any more.
func (c *session) logGone(err error) {
	s := c.shard
	limit := s.shared.Settings.Config().ConnectionLog
	if limit == 0 || c.id == 0 { // it has none before its handshake is accepted
		return
	}
	s.shared.Log.Write(limit, s.Loop.Now(), "client gone",
		slog.String("client", c.clientID()), slog.String("reason", DisconnectNames[c.reason]),
		slog.Duration("after", c.opened.since(s.Loop.Now()).Truncate(time.Second/10)), slog.Any("error", err))
}

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
func (c *session) sampleEnd(reason Disconnect) {
	s := c.shard
	key := stats.IncidentKey{Metric: stats.MetricDisconnects, Label: DisconnectNames[reason]}
	if c.id == 0 || !s.Samples.Wants(key) {
		return
	}
	attrs := c.Identity()
	if b := c.backlog; b != nil {
		if channel := b.Channel(); channel != "" {
			attrs = append(attrs, slog.String("channel", stats.Clip(channel)))
		}
		attrs = append(attrs, slog.Int("backlog_bytes", b.Bytes), slog.Duration("oldest", b.Oldest(s.Loop.Now()).Round(10*time.Millisecond)))
	}
	s.Samples.Keep(key, attrs...)
}

// sampleRefused keeps the session as a sample of those whose handshake is refused.
func (c *session) sampleRefused(refused *websocket.HandshakeError) {
	key := stats.IncidentKey{Metric: stats.MetricHandshakes, Label: refused.Reason}
	if c.shard.Samples.Wants(key) {
		c.shard.Samples.Keep(key, slog.String("address", c.address()))
	}
}

// sampleReason is sampleRefused for a client that is not who it must be. It also keeps
// why.
func (c *session) sampleReason(refused *websocket.HandshakeError, reason string) {
	c.sampleRefused(refused)
	c.shard.Samples.Name(stats.IncidentKey{Metric: stats.MetricHandshakes, Label: refused.Reason}, reason)
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
		c.shard.Samples.Name(stats.IncidentKey{Metric: stats.MetricHandshakes, Label: refused.Reason}, stats.Clip(string(value)))
	}
}
