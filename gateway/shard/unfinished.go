package shard

import (
	"net/http"

	"github.com/gobwas/ws"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/limits"
)

// checksPerTurn bounds how many unfinished messages are looked at in a turn.
const checksPerTurn = 1024

// ErrInputFull refuses handshakes while all that clients have unfinished is too much.
var ErrInputFull = &websocket.HandshakeError{
	Status: http.StatusServiceUnavailable, Reason: "input_full", Message: "too many requests are unfinished; try again later",
}

// keepsInput tells whether something of the client's input is held.
func (c *session) keepsInput() bool { return c.held != nil || c.reader.Pending() }

// heldInputBytes is the memory that it takes.
func (c *session) heldInputBytes() int {
	n := c.reader.PendingBytes()
	if c.held != nil {
		n += cap(c.held.starved) + c.held.decision.size() + c.held.part.size()
		if c.held.rest != nil {
			n += cap(c.held.rest.B)
		}
	}
	return n
}

// noteInput counts the input of the client that is held now. kept says whether
// something was held before. Most clients send whole messages, and then it does
// nothing.
func (c *session) noteInput(kept bool) {
	s, n := c.shard, c.heldInputBytes()
	if n == 0 && !kept {
		return
	}
	now := s.Loop.Now()
	u, known := s.unfinished[c]
	switch {
	case !known && n == 0:
		return
	case !known:
		s.unfinishedDue.Add(c, now)
		u.Since = now
	case u.Bytes == 0 || s.wholeInput:
		u.Since = now
	}
	if s.shared.ClientInput.Add(n - u.Bytes) {
		for _, other := range s.shared.Shards {
			other.Loop.Wake()
		}
	}
	s.unfinishedBytes += int64(n - u.Bytes)
	u.Bytes = n
	s.unfinished[c] = u
}

// forgetInput is for a client that is gone.
func (c *session) forgetInput() {
	if u, known := c.shard.unfinished[c]; known {
		c.shard.shared.ClientInput.Add(-u.Bytes)
		c.shard.unfinishedBytes -= int64(u.Bytes)
		delete(c.shard.unfinished, c)
	}
}

// endUnfinished ends clients whose message has not been complete for too long, and
// tells whether there are more to look at. Time in which the client is not read does
// not count.
func (s *Shard) endUnfinished() (busy bool) {
	now, ended := s.Loop.Now(), 0
	for checks := 0; checks < checksPerTurn && ended < limits.EndsPerTurn; checks++ {
		c, _, ok := s.unfinishedDue.Due(now)
		if !ok {
			break
		}
		u, known := s.unfinished[c]
		switch {
		case !known: // it is gone
		case u.Bytes == 0:
			delete(s.unfinished, c)
		case c.state == sessionOpen && c.held == nil && now-u.Since >= s.shared.Settings.Config().MessageTimeout:
			c.finish(MessageTimeout, ws.StatusPolicyViolation, "message unfinished for too long")
			ended++
		default:
			if c.held != nil {
				u.Since = now
				s.unfinished[c] = u
			}
			s.unfinishedDue.Add(c, now)
		}
	}
	return s.unfinishedDue.IsDue(now)
}

// relieveInput ends the clients of this shard with the heaviest unfinished input, while
// all clients together hold too much and this shard has its part of that.
func (s *Shard) relieveInput() (busy bool) {
	memory := &s.shared.ClientInput
	if !memory.Over() || s.unfinishedBytes == 0 {
		return false
	}
	part := limits.Part[*session]{Memory: memory, Loops: len(s.shared.Shards), Held: s.unfinishedBytes}
	part.Each = func(offer func(*session, limits.Unfinished)) {
		for c, held := range s.unfinished {
			offer(c, held)
		}
	}
	return part.Relieve(s.Loop.Now(), func(c *session) {
		switch c.state {
		case sessionOpen:
			c.finish(InputFull, websocket.StatusTryAgainLater, "too many unfinished messages")
		case sessionHandshaking, sessionDeciding:
			c.refuseHandshake(ErrInputFull)
		}
	})
}
