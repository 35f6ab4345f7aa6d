package gateway

import (
	"cmp"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/mem"
)

// inputMemory is what the process holds of the unfinished input of one kind of
// peers, in bytes. Past its limit those go first that have held the most for the
// longest. All methods may be called from any goroutine.
type inputMemory struct {
	limit     atomic.Int64
	held      atomic.Int64
	relieving atomic.Bool // the limit was passed, and not enough has been freed since
}

// add counts n bytes more; passed tells that the limit has just been passed.
func (m *inputMemory) add(n int) (passed bool) {
	return m.held.Add(int64(n)) > m.limit.Load() && n > 0 && !m.relieving.Swap(true)
}

// over tells whether peers are to be ended: from the limit down to a sixteenth
// below it, so that not every message ends one.
func (m *inputMemory) over() bool {
	if !m.relieving.Load() {
		return false
	}
	limit := m.limit.Load()
	if m.held.Load() <= limit-limit/16 {
		m.relieving.Store(false)
		return false
	}
	return true
}

// unfinished is what is held of one client's input.
type unfinished struct {
	bytes int
	since time.Duration // when it began, or we began to read the client again
}

// weight is larger for those that are to go first.
func (u unfinished) weight(now time.Duration) int64 {
	return int64(u.bytes) * int64((now-u.since)/time.Millisecond+1)
}

// weighed is a peer with the weight of its unfinished input.
type weighed[T any] struct {
	who    T
	weight int64
}

func (w weighed[T]) compare(other weighed[T]) int { return cmp.Compare(w.weight, other.weight) }

const (
	// messageChecks is how many times an unfinished message is looked at within
	// its timeout: it may last that part of it longer.
	messageChecks = 4
	// checksPerTurn bounds how many are looked at in a turn.
	checksPerTurn = 1024
)

var errInputFull = &websocket.HandshakeError{
	Status: http.StatusServiceUnavailable, Reason: "input_full", Message: "too many requests are unfinished; try again later",
}

// keepsInput tells whether something of the client's input is held.
func (c *session) keepsInput() bool { return c.held != nil || c.reader.Pending() }

// heldInputBytes is the memory that it takes.
func (c *session) heldInputBytes() int {
	n := c.reader.PendingBytes()
	if c.held != nil {
		n += cap(c.held.starved)
		if c.held.rest != nil {
			n += cap(c.held.rest.B)
		}
	}
	return n
}

// noteInput counts what is held of the client now; kept tells whether something
// was held before. Most clients send whole messages, for which it does nothing.
func (c *session) noteInput(kept bool) {
	s, n := c.shard, c.heldInputBytes()
	if n == 0 && !kept {
		return
	}
	now := s.loop.Now()
	u, known := s.unfinished[c]
	switch {
	case !known && n == 0:
		return
	case !known:
		s.unfinishedDue.Add(c, now)
		u.since = now
	case u.bytes == 0 || s.wholeInput:
		u.since = now
	}
	if s.gateway.clientInput.add(n - u.bytes) {
		for _, other := range s.gateway.shards {
			other.loop.Wake()
		}
	}
	s.unfinishedBytes += int64(n - u.bytes)
	u.bytes = n
	s.unfinished[c] = u
}

// forgetInput is for a client that is gone.
func (c *session) forgetInput() {
	if u, known := c.shard.unfinished[c]; known {
		c.shard.gateway.clientInput.add(-u.bytes)
		c.shard.unfinishedBytes -= int64(u.bytes)
		delete(c.shard.unfinished, c)
	}
}

// endUnfinished ends clients whose message has not been complete for too long, and
// tells whether there are more to look at. The time in which we do not read a
// client does not count.
func (s *shard) endUnfinished() (busy bool) {
	now, ended := s.loop.Now(), 0
	for checks := 0; checks < checksPerTurn && ended < endsPerTurn; checks++ {
		c, _, ok := s.unfinishedDue.Due(now)
		if !ok {
			break
		}
		u, known := s.unfinished[c]
		switch {
		case !known: // it is gone
		case u.bytes == 0:
			delete(s.unfinished, c)
		case c.state == sessionOpen && c.held == nil && now-u.since >= s.gateway.config().MessageTimeout:
			c.finish(messageTimeout, ws.StatusPolicyViolation, "message unfinished for too long")
			ended++
		default:
			if c.held != nil {
				u.since = now
				s.unfinished[c] = u
			}
			s.unfinishedDue.Add(c, now)
		}
	}
	return s.unfinishedDue.IsDue(now)
}

// relieveInput ends the clients of this shard whose unfinished input weighs most,
// while all together hold too much and this shard has its part of that.
func (s *shard) relieveInput() (busy bool) {
	memory := &s.gateway.clientInput
	if !memory.over() || s.unfinishedBytes == 0 {
		return false
	}
	if s.unfinishedBytes*int64(len(s.gateway.shards)) < memory.held.Load() {
		return true // others have more
	}
	now := s.loop.Now()
	heaviest := mem.NewBest(endsPerTurn, func(a, b weighed[*session]) int { return b.compare(a) })
	for c, u := range s.unfinished {
		if u.bytes > 0 {
			heaviest.Offer(weighed[*session]{c, u.weight(now)})
		}
	}
	for _, each := range heaviest.Sorted() {
		if !memory.over() {
			return false
		}
		switch c := each.who; c.state {
		case sessionOpen:
			c.finish(inputFull, websocket.StatusTryAgainLater, "too many unfinished messages")
		case sessionHandshaking:
			c.refuseHandshake(errInputFull)
		}
	}
	return memory.over()
}
