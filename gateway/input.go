package gateway

import (
	"errors"

	"github.com/gobwas/ws"
	"github.com/valyala/bytebufferpool"

	"fleetcast/codec/command"
	"fleetcast/codec/websocket"
)

// heldInput is input that waits: the start of a handshake's head; what follows
// commands whose replies the client does not read; what is for the next turn; or,
// of a client whose publish found no credit, that command and what followed it.
type heldInput struct {
	starved   []byte // the command's payload; nil if none waits for credit
	postponed bool   // it waits for the next turn, which alone goes on with it
	rest      *bytebufferpool.ByteBuffer
}

// read handles frames until p is used up or the session cannot go on.
func (c *session) read(p []byte) {
	s := c.shard
	work := 0
	for len(p) > 0 && c.state == sessionOpen {
		if c.held != nil {
			c.hold(p)
			return
		}
		message, n, ok, err := c.reader.Next(p, &s.gateway.settings.Load().readers[c.inbound])
		if err != nil {
			c.violate(err)
			return
		}
		p = p[n:]
		if !ok {
			return
		}
		work += c.handle(message)
		c.reader.Recycle()
		if len(s.replies) >= repliesHeld {
			c.flushReplies()
		}
		if c.repliesWait() && len(p) > 0 {
			c.hold(p) // until the replies have left
			return
		}
		if work > turnWork && len(p) > 0 && c.held == nil && c.state == sessionOpen {
			c.postpone(p)
			return
		}
	}
}

// postpone leaves p for the next turn, so that others have theirs.
func (c *session) postpone(p []byte) {
	c.hold(p)
	c.held.postponed = true
	c.conn.PauseReading()
	c.shard.postponed.push(c)
	c.shard.counters.readCuts++
}

// resumePostponed goes on with what clients had sent too much of, one after the
// other for a while.
func (s *shard) resumePostponed() {
	if s.postponed.len() == 0 {
		return
	}
	end := s.loop.Refresh() + resumeSlice
	for range s.postponed.len() {
		switch c := s.postponed.pop(); {
		case c.held == nil || !c.held.postponed: // it has ended
		case c.repliesWait():
			c.held.postponed = false // it goes on when the replies have left
		default:
			c.resume()
		}
		if s.loop.Refresh() > end {
			return
		}
	}
}

// handle handles a message and returns how much work that was, see turnWork.
func (c *session) handle(m websocket.Message) (work int) {
	s := c.shard
	work = controlWork
	if m.Op == ws.OpText || m.Op == ws.OpBinary {
		s.counters.messagesIn++
		work = messageWork + byteWork*len(m.Payload)
		if c.inbound != inboundPlain {
			work += inflateWork
		}
	}
	switch m.Op {
	case ws.OpText:
		s.scanned = 0
		work += nameWork*c.command(m.Payload) + s.scanned
	case ws.OpBinary:
		c.refuseBinary()
	case ws.OpPing:
		s.replies = websocket.AppendFrame(s.replies, ws.OpPong, m.Payload)
	case ws.OpClose:
		code, _, _ := websocket.ParseClose(m.Payload) // Next has validated it
		c.finish(clientClosed, code, "")
	}
	return work
}

func (c *session) refuseBinary() {
	var err error = errBinary
	if refusal := c.takeCommand(); refusal != nil {
		err = refusal
	}
	c.refuse(err, command.ID{})
}

// violate fails the connection as RFC 6455, section 7.1.7 says.
func (c *session) violate(err error) {
	var refused *websocket.CloseError
	if !errors.As(err, &refused) {
		c.finish(protocolError, ws.StatusProtocolError, "")
		return
	}
	reason := protocolError
	if refused.Code == ws.StatusMessageTooBig {
		reason = messageTooBig
	}
	c.finish(reason, refused.Code, refused.Reason)
}

// hold keeps p behind what is held already.
func (c *session) hold(p []byte) {
	if c.held == nil {
		c.held = new(heldInput)
	}
	c.held.rest = appendBuffer(c.held.rest, p)
}

func (c *session) releaseHeld() {
	if c.held != nil && c.held.rest != nil {
		giveBuffer(c.held.rest)
	}
	c.held = nil
}
