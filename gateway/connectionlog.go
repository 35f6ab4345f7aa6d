package gateway

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// connectionLog writes about clients and publishers that come and go: at most
// so many lines a second as the configuration says, because a fleet that comes
// back all at once would fill the disk. Any goroutine may call it.
type connectionLog struct {
	logger  *slog.Logger
	second  atomic.Int64 // of the loops' clock, to which lines belongs
	lines   atomic.Int64 // written in it, or left out
	omitted atomic.Int64 // since the last line
}

// write logs a line if this second has room for one of limit. The next line
// that is written says how many were left out.
func (l *connectionLog) write(limit int, now time.Duration, message string, attrs ...slog.Attr) {
	// Loops read the clock at different times: one that is behind must not make
	// the second begin anew.
	second := int64(now / time.Second)
	if old := l.second.Load(); second > old && l.second.CompareAndSwap(old, second) {
		l.lines.Store(0)
	}
	if l.lines.Add(1) > int64(limit) {
		l.omitted.Add(1)
		return
	}
	if omitted := l.omitted.Swap(0); omitted > 0 {
		attrs = append(attrs, slog.Int64("lines_left_out", omitted))
	}
	l.logger.LogAttrs(context.Background(), slog.LevelInfo, message, attrs...)
}

// logConnected tells of a client whose handshake was accepted.
func (c *session) logConnected(origin []byte) {
	s := c.shard
	limit := s.gateway.config().ConnectionLog
	if limit == 0 {
		return
	}
	s.gateway.connectionLog.write(limit, s.loop.Now(), "client connected",
		slog.String("client", c.clientID()), slog.String("address", c.address()), slog.String("origin", string(origin)))
}

// logRefused tells of a client whose handshake was refused.
func (c *session) logRefused(reason string) {
	s := c.shard
	limit := s.gateway.config().ConnectionLog
	if limit == 0 {
		return
	}
	s.gateway.connectionLog.write(limit, s.loop.Now(), "handshake refused",
		slog.String("reason", reason), slog.String("address", c.address()))
}

// logTurnedAway tells of a client that was refused before it was read.
func (s *shard) logTurnedAway(fd int, reason string) {
	limit := s.gateway.config().ConnectionLog
	if limit == 0 {
		return
	}
	s.gateway.connectionLog.write(limit, s.loop.Now(), "handshake refused",
		slog.String("reason", reason), slog.String("address", peerText(fd)))
}

// logGone tells of a client that was connected and is not any more.
func (c *session) logGone(err error) {
	s := c.shard
	limit := s.gateway.config().ConnectionLog
	if limit == 0 || c.id == 0 { // it has none before its handshake is accepted
		return
	}
	s.gateway.connectionLog.write(limit, s.loop.Now(), "client gone",
		slog.String("client", c.clientID()), slog.String("reason", disconnectNames[c.reason]),
		slog.Duration("after", c.opened.since(s.loop.Now()).Truncate(time.Second/10)), slog.Any("error", err))
}

// logConnected tells of a publisher that has come.
func (p *publisher) logConnected() {
	limit := p.ingest.gateway.config().ConnectionLog
	if limit == 0 {
		return
	}
	p.ingest.gateway.connectionLog.write(limit, p.ingest.loop.Now(), "publisher connected",
		slog.String("address", p.remote))
}

// logGone tells of a publisher that is gone.
func (p *publisher) logGone(err error) {
	limit := p.ingest.gateway.config().ConnectionLog
	if limit == 0 {
		return
	}
	p.ingest.gateway.connectionLog.write(limit, p.ingest.loop.Now(), "publisher gone",
		slog.String("address", p.remote), slog.Any("error", err))
}
