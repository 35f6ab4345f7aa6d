package shard

import (
	"errors"

	"github.com/gobwas/ws"
	"github.com/valyala/bytebufferpool"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/backlog"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/mem"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stats"
)

// waitReason is why input waits and is not handled.
type waitReason uint8

const (
	waitWhole    waitReason = iota // for the rest of a request's head, or for replies to leave
	waitCredit                     // its publish found no credit; see starved
	waitEngine                     // an engine has not completed its publish; see unconfirmed
	waitTurn                       // for the next turn, because much was handled in this one
	waitRate                       // for the client's rate to allow more frames
	waitDecision                   // for who the client is; see decision
)

// heldInput is input that waits: the start of a handshake's head, or the bytes behind
// the last frame that was handled.
type heldInput struct {
	starved []byte // the payload of a command that waits for credit; nil if none does
	binary  bool   // it came in a binary message
	waits   waitReason
	part    *part // of a command that goes on in the next turn; nil if none does
	rest    *bytebufferpool.ByteBuffer
	// decision is set while the session is in sessionDeciding, and while a command of an open
	// session waits for one.
	decision *decision
}

// read handles frames until p is used up or the session cannot go on. Every frame costs
// work. It is charged to the client's rate, unless it completes a command that the rate
// allows.
func (c *session) read(p []byte) {
	s := c.shard
	work := 0
	for len(p) > 0 && c.state == sessionOpen {
		if c.held != nil {
			c.hold(p)
			return
		}
		message, n, ok, err := c.reader.Next(p, &s.shared.Settings.Load().Readers[c.inbound])
		if err != nil {
			c.violate(err)
			return
		}
		p = p[n:]
		if !c.reader.Pending() {
			s.wholeInput = true
		}
		spent := false
		if ok {
			charged, done := c.handle(message)
			c.reader.Recycle()
			work += done
			spent = charged > 0 && c.charge(charged)
		} else {
			work += limits.ControlWork + n
			spent = c.charge(1)
		}
		if len(s.replies) >= backlog.RepliesHeld {
			c.flushReplies()
		}
		switch {
		case c.state != sessionOpen || c.held != nil:
		case c.repliesWait() && len(p) > 0:
			c.hold(p) // until the replies have left
			return
		case spent:
			c.throttle(p)
			return
		case work > limits.TurnWork && len(p) > 0:
			c.postpone(p)
			return
		}
	}
}

// charge charges frames to the client's rate; spent tells that it must wait.
func (c *session) charge(frames int) (spent bool) {
	rate := &c.shard.shared.Settings.Load().Commands
	return rate.Charge(&c.commandsDue, frames, c.shard.Loop.Now())
}

// postpone leaves p for the next turn, so that others have theirs.
func (c *session) postpone(p []byte) {
	c.pause(p, waitTurn)
	c.shard.postponed.Push(c)
	c.shard.Counters.ReadCuts++
}

// throttle stops reading a client that has sent far more than its rate allows. TCP
// pushes it back.
func (c *session) throttle(p []byte) {
	c.pause(p, waitRate)
	c.shard.throttled.Push(c)
	c.shard.Counters.Throttles++
	if key := (stats.IncidentKey{Metric: stats.MetricThrottles, Label: ""}); c.shard.Samples.Wants(key) {
		c.shard.Samples.Keep(key, c.Identity()...)
	}
}

// pause keeps p and reads no more until the reason is gone.
func (c *session) pause(p []byte, reason waitReason) {
	c.hold(p)
	c.held.waits = reason
	c.conn.PauseReading()
}

// resumeThrottled continues with the clients whose rate allows more now.
func (s *Shard) resumeThrottled() {
	rate, now := &s.shared.Settings.Load().Commands, s.Loop.Now()
	for range s.throttled.Len() {
		switch c := s.throttled.Pop(); {
		case c.held == nil || c.held.waits != waitRate: // it has ended
		case rate.Recovered(c.commandsDue, now):
			c.held.waits = waitTurn
			s.postponed.Push(c)
		default:
			s.throttled.Push(c)
		}
	}
}

// resumePostponed continues with the input that was too much for one turn, one client
// after the other, for one slice.
func (s *Shard) resumePostponed() {
	if s.postponed.Len() == 0 {
		return
	}
	end := s.Loop.Refresh() + limits.ResumeSlice
	for range s.postponed.Len() {
		switch c := s.postponed.Pop(); {
		case c.held == nil || c.held.waits != waitTurn: // it has ended
		case c.repliesWait():
			c.held.waits = waitWhole // it continues when the replies have left
		default:
			c.Resume()
		}
		if s.Loop.Refresh() > end {
			return
		}
	}
}

// handle handles a message. It returns how many frames to charge for it (none for a
// command that the rate allows), and how much work it was (see limits.TurnWork).
func (c *session) handle(m websocket.Message) (charged, work int) {
	s := c.shard
	work = limits.ControlWork
	if m.Op == ws.OpText || m.Op == ws.OpBinary {
		s.Counters.ClientMessages++
		work = limits.MessageWork + limits.ByteWork*len(m.Payload)
		if c.inbound != settings.InboundPlain {
			work += limits.InflateWork
		}
	}
	switch m.Op {
	case ws.OpText, ws.OpBinary:
		s.ledger.Scanned, s.ruled, s.historyWork = 0, 0, 0
		channels, refused := c.command(m.Payload, m.Op == ws.OpBinary)
		work += limits.NameWork*channels + limits.RuleWork*s.ruled + s.ledger.Scanned + s.historyWork
		return refusalCharge(refused, len(m.Payload)), work
	case ws.OpPing:
		s.replies = websocket.AppendFrame(s.replies, ws.OpPong, m.Payload)
	case ws.OpClose:
		code, _, _ := websocket.ParseClose(m.Payload) // Next has validated it
		c.finish(ClientClosed, code, "")
	}
	return 1, work
}

// What a command that the rate refuses is charged beyond one frame.
const (
	bytesPerFrame = 8 << 10 // of the message, which was read in full
	namesPerFrame = 8       // that were refused, each with an error
)

// refusalCharge is how many frames a message is charged if the rate has refused so many
// of its commands.
func refusalCharge(refused, length int) int {
	if refused == 0 {
		return 0
	}
	return 1 + refused/namesPerFrame + length/bytesPerFrame
}

// violate fails the connection as RFC 6455, section 7.1.7 says.
func (c *session) violate(err error) {
	var refused *websocket.CloseError
	if !errors.As(err, &refused) {
		c.finish(ProtocolError, ws.StatusProtocolError, "")
		return
	}
	reason := ProtocolError
	if refused.Code == ws.StatusMessageTooBig {
		reason = MessageTooBig
	}
	c.finish(reason, refused.Code, refused.Reason)
}

// hold appends p to what is held already.
func (c *session) hold(p []byte) {
	if c.held == nil {
		c.held = new(heldInput)
	}
	c.held.rest = mem.AppendBuffer(c.held.rest, p)
}

func (c *session) releaseHeld() {
	if c.held != nil && c.held.rest != nil {
		mem.GiveBuffer(c.held.rest)
	}
	c.held = nil
}
