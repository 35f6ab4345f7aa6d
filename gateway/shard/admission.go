package shard

import (
	"bytes"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/stats"
	"fleetcast/poller"
)

// LingeringConnections is how many connections of clients that were refused before
// their request had arrived are kept for up to a second, even if there is no room for
// more clients, so that the answer reaches them. They take descriptors beside those of
// clients and publishers. If there are more shards than that, each may keep one.
const LingeringConnections = 128

const (
	// admitsPerTurn bounds how many waiting sockets a shard admits in a turn; a
	// listener accepts as many.
	admitsPerTurn = 64
	// maxLingering is how many more may be kept while there is room.
	maxLingering = 2048
	// maxRetry is the longest time after which a client that came too fast is asked to
	// come back.
	maxRetry = time.Minute
)

// Refusals of clients when too many come at once, and of clients that have closed while
// they waited.
var (
	ErrConnectRate = &websocket.HandshakeError{
		Status: http.StatusServiceUnavailable, Reason: "connect_rate", Message: "too many clients connect at the moment; try again later",
	}
	errGone = &websocket.HandshakeError{
		Status: http.StatusServiceUnavailable, Reason: ReasonVanished, Message: ErrConnectRate.Message,
	}
)

// admission is what the shards share of admitting clients at a rate.
type admission struct {
	due     atomic.Int64 // of the bucket
	waiting atomic.Int64 // accepted sockets that wait for their turn
	// deciding has those about whom the authority is asked, clients included that have gone
	// meanwhile.
	deciding limits.Crowd
	// asking has the clients about whose commands subscribe hooks are asked, likewise.
	asking limits.Crowd
	// askingAgain has the clients about whom subscribe hooks are asked that have not decided
	// when the client subscribed, likewise.
	askingAgain limits.Crowd
	retry       atomic.Int64 // until when those who were turned away fill the time
}

// Forgive clears both numbers when the rate has changed.
func (a *admission) Forgive() {
	a.due.Store(0)
	a.retry.Store(0)
}

// arrival is an accepted socket that waits for its turn. What its peer sends
// waits in the kernel.
type arrival struct {
	fd    int
	since time.Duration
	from  *source
}

// Accepted implements poller.Owner.
func (s *Shard) Accepted(_ *poller.Listener, fd int) {
	all := s.shared
	if all.connections.Add(1) > int64(all.Settings.Config().MaxClients) {
		s.turnAway(fd, nil, refusal{websocket.ErrFull, s.retryLater()})
		return
	}
	if s.drain != drainNot {
		s.admit(fd, nil)
		return
	}
	from, refused := s.sourceOf(fd)
	if refused.err != nil {
		s.turnAway(fd, nil, refused)
		return
	}
	set, now := all.Settings.Load(), s.Loop.Now()
	switch {
	case s.waiting.Len() == 0 && set.Connects.TakeShared(&all.Admission.due, 1, now) == 0:
		s.admit(fd, from)
	case all.Admission.waiting.Add(1) <= int64(set.ConnectQueue):
		s.waiting.Push(arrival{fd, now, from})
	default:
		all.Admission.waiting.Add(-1)
		s.turnAway(fd, from, refusal{ErrConnectRate, s.retrySlot(set.Connects.Interval)})
	}
}

// admit makes a session of a socket that is counted among the connections.
func (s *Shard) admit(fd int, from *source) {
	all := s.shared
	c := &session{shard: s, source: from, opened: tenthsOf(s.Loop.Now())}
	if err := s.Loop.Register(&c.conn, fd, c); err != nil {
		all.connections.Add(-1)
		s.uncount(from)
		unix.Close(fd)
		all.Logger.Warn("a client was dropped", "error", err)
		return
	}
	s.Counters.Connections++
	s.Counters.Accepted++
	if s.drain != drainNot {
		c.refuseHandshake(ErrDraining)
		return
	}
	s.handshakes.Add(c, s.Loop.Now())
}

// admitWaiting admits waiting sockets in order, as fast as the rate allows, and refuses
// those that have waited too long. It returns whether it must be called again at once.
func (s *Shard) admitWaiting() (busy bool) {
	all, now := s.shared, s.Loop.Now()
	for range admitsPerTurn {
		if s.waiting.Len() == 0 {
			return false
		}
		set := all.Settings.Load()
		expires := s.waiting.At(0).since + set.Config.HandshakeTimeout
		switch gone := poller.PeerGone(s.waiting.At(0).fd); {
		case gone:
			s.turnAwayFirst(refusal{errGone, s.retryLater()})
		case now >= expires:
			s.turnAwayFirst(refusal{ErrConnectRate, s.retrySlot(set.Connects.Interval)})
		default:
			if wait := set.Connects.TakeShared(&all.Admission.due, 1, now); wait > 0 {
				s.alarm.by(min(now+wait, expires))
				return false
			}
			next := s.nextWaiting()
			s.admit(next.fd, next.from)
		}
	}
	return s.waiting.Len() > 0
}

func (s *Shard) nextWaiting() arrival {
	s.shared.Admission.waiting.Add(-1)
	return s.waiting.Pop()
}

func (s *Shard) turnAwayFirst(refused refusal) {
	first := s.nextWaiting()
	s.turnAway(first.fd, first.from, refused)
}

// turnAwayWaiting refuses all sockets that wait, because the gateway stops.
func (s *Shard) turnAwayWaiting() {
	for s.waiting.Len() > 0 {
		s.turnAwayFirst(refusal{ErrDraining, s.retryLater()})
	}
}

// CloseWaiting closes the sockets that wait, after the loop has ended.
func (s *Shard) CloseWaiting() {
	for s.waiting.Len() > 0 {
		given := s.nextWaiting()
		unix.Close(given.fd)
		s.uncount(given.from)
		s.shared.connections.Add(-1)
	}
}

// turnAway answers a socket that is counted among the connections and closes
// it, at the least cost.
func (s *Shard) turnAway(fd int, from *source, refused refusal) {
	s.shared.connections.Add(-1)
	s.uncount(from)
	s.Counters.HandshakeFailures[refused.err.Reason]++
	if key := (stats.IncidentKey{Metric: stats.MetricHandshakes, Label: refused.err.Reason}); s.Samples.Wants(key) {
		s.Samples.Keep(key, slog.String("address", limits.PeerText(fd)))
	}
	s.logTurnedAway(fd, refused.err.Reason)
	answer := websocket.AppendRefusalRetry(s.replies[:0], refused.err, refused.retryAfter)
	s.Loop.Dismiss(fd, answer, endsHead, s.mayLinger())
}

// mayLinger is how many refused sockets the shard may keep for a second while their
// requests are on the way: its part of LingeringConnections or, while half of the room
// for clients is free, of an eighth of that room.
func (s *Shard) mayLinger() int {
	most, room := LingeringConnections, s.shared.Settings.Config().MaxClients
	if s.shared.connections.Load() < int64(room/2) {
		most = max(most, min(room/8, maxLingering))
	}
	return max(1, most/len(s.shared.Shards))
}

// endsHead tells whether what was read may be a whole request without a body.
func endsHead(read []byte) bool { return bytes.HasSuffix(read, []byte("\r\n\r\n")) }

// retrySlot is the number of seconds after which a refused client is asked to come
// back. Each client gets a time of its own, one after the other as the rate allows,
// after the sockets that wait. If that is too long, it is a random time up to the
// longest.
func (s *Shard) retrySlot(interval time.Duration) int {
	a, now := &s.shared.Admission, s.Loop.Now()
	for {
		was := a.retry.Load()
		slot := max(time.Duration(was), now+time.Duration(a.waiting.Load())*interval)
		if slot-now > maxRetry {
			return 1 + int(s.random.Uint64()%uint64(maxRetry/time.Second))
		}
		if a.retry.CompareAndSwap(was, int64(slot+interval)) {
			return seconds32(slot - now)
		}
	}
}
