package gateway

import (
	"log/slog"
	"time"

	"fleetcast/gateway/limits"
)

// logConnected tells of a client whose handshake was accepted.
func (c *session) logConnected(origin []byte) {
	s := c.shard
	limit := s.shared.settings.Config().ConnectionLog
	if limit == 0 {
		return
	}
	s.shared.log.Write(limit, s.loop.Now(), "client connected",
		slog.String("client", c.clientID()), slog.String("address", c.address()), slog.String("origin", string(origin)))
}

// logRefused tells of a client whose handshake was refused.
func (c *session) logRefused(reason string) {
	s := c.shard
	limit := s.shared.settings.Config().ConnectionLog
	if limit == 0 {
		return
	}
	s.shared.log.Write(limit, s.loop.Now(), "handshake refused",
		slog.String("reason", reason), slog.String("address", c.address()))
}

// logTurnedAway tells of a client that was refused before it was read.
func (s *shard) logTurnedAway(fd int, reason string) {
	limit := s.shared.settings.Config().ConnectionLog
	if limit == 0 {
		return
	}
	s.shared.log.Write(limit, s.loop.Now(), "handshake refused",
		slog.String("reason", reason), slog.String("address", limits.PeerText(fd)))
}

// logGone tells of a client that was connected and is not any more.
func (c *session) logGone(err error) {
	s := c.shard
	limit := s.shared.settings.Config().ConnectionLog
	if limit == 0 || c.id == 0 { // it has none before its handshake is accepted
		return
	}
	s.shared.log.Write(limit, s.loop.Now(), "client gone",
		slog.String("client", c.clientID()), slog.String("reason", disconnectNames[c.reason]),
		slog.Duration("after", c.opened.since(s.loop.Now()).Truncate(time.Second/10)), slog.Any("error", err))
}
