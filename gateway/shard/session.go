package shard

import (
	"errors"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/backlog"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
	"fleetcast/poller"
)

// sessionState is the life of a session. It only moves down this list; see
// session.moveTo.
type sessionState uint8

const (
	sessionHandshaking sessionState = iota // gathering the request's head
	sessionDeciding                        // the request is whole, and it is found out who sends it
	sessionOpen                            // frames flow
	sessionClosing                         // our last bytes are queued or sent; input is ignored
	sessionClosed                          // the socket is gone
)

// Disconnect is why a session ended; it is counted.
type Disconnect uint8

const (
	Undecided       Disconnect = iota
	ClientClosed               // with a close frame, as it should
	ClientVanished             // its FIN or reset came without a close frame
	HandshakeFailed            // it never became a WebSocket
	HTTPRequest                // it was a plain HTTP request; the HTTP server has its socket, or its health check was answered
	ProtocolError              // it violated RFC 6455
	MessageTooBig              // its message was over the limit
	SlowConsumer               // an event waited for it too long
	MessageTimeout             // it did not complete a message in time
	InputFull                  // all unfinished messages together were over the limit, and its held the most for the longest
	BacklogsFull               // all backlogs together were, and its was among the largest
	PingTimeout                // it did not answer
	SendTimeout                // it did not acknowledge, or take, what was sent
	Draining                   // the gateway stops
	Disconnected               // an operator asked for it
	Unauthenticated            // it did not say in time who it is, or its token was refused
	TokenExpired               // its identity has ended, and it did not show another one
	disconnectCount
)

// DisconnectNames are the reasons as metrics and log lines name them.
var DisconnectNames = [disconnectCount]string{
	ClientClosed:    "client_closed",
	ClientVanished:  "client_vanished",
	HandshakeFailed: "handshake_failed",
	HTTPRequest:     "http_request",
	ProtocolError:   "protocol_error",
	MessageTooBig:   "message_too_big",
	SlowConsumer:    "slow_consumer",
	MessageTimeout:  "message_timeout",
	InputFull:       "input_full",
	BacklogsFull:    "backlogs_full",
	PingTimeout:     "ping_timeout",
	SendTimeout:     "send_timeout",
	Draining:        "draining",
	Disconnected:    "disconnected",
	Unauthenticated: "unauthenticated",
	TokenExpired:    "token_expired",
}

var (
	errClientClosed = errors.New("client closed")
	errBacklogsFull = errors.New("the backlogs hold too much")
)

// session is one client. It is plain data, kept small: there is one for every
// socket. Its shard's goroutine owns it.
type session struct {
	// What a delivery looks at comes first, on one cache line.
	conn    poller.Conn
	state   sessionState
	reason  Disconnect
	format  stream.Format    // of events for it, which says its dialect too
	inbound settings.Inbound // of its messages
	opened  tenths           // when the handshake succeeded; before that, when it began
	backlog *backlog.Backlog // what the socket has not taken; nil while it keeps up
	shard   *Shard

	subscriptions []subscription
	reader        websocket.Reader
	held          *heldInput // input that cannot be handled yet, or nil
	lastSeen      millis     // when bytes last came or left; see seenAt
	commandsDue   uint32     // when its next command is; see limits.CommandRate
	source        *source    // where it comes from and who it is, or nil
	id            uint64
}

// moveTo is the one place where a session's state changes.
func (c *session) moveTo(next sessionState) {
	if next <= c.state {
		panic("gateway: a session cannot go back to an earlier state")
	}
	if c.state == sessionDeciding {
		c.shard.Counters.Deciding--
	}
	if next > sessionDeciding && c.held != nil && c.held.decision != nil {
		c.held.decision.end()
		if next == sessionOpen {
			c.held.decision = nil
		}
	}
	if next == sessionDeciding {
		c.shard.Counters.Deciding++
	}
	if c.state == sessionOpen {
		c.shard.Counters.Clients--
		if c.backlog != nil {
			c.shard.Counters.Lagging--
		}
		if c.shard.ledger.Formats.Compressed(c.format) {
			c.shard.Counters.CompressedClients--
		}
		c.leaveAll()
		c.abandonPublish()
	}
	if next == sessionOpen {
		c.shard.Counters.Clients++
		if c.shard.ledger.Formats.Compressed(c.format) {
			c.shard.Counters.CompressedClients++
		}
	}
	c.state = next
}

// Received implements poller.Handler.
func (c *session) Received(p []byte) {
	c.lastSeen = seenAt(c.shard.Loop.Now())
	c.shard.Counters.BytesIn += uint64(len(p))
	kept := c.keepsInput()
	c.shard.wholeInput = false
	switch c.state {
	case sessionHandshaking:
		c.handshake(p)
	case sessionDeciding:
		c.early(p)
	case sessionOpen:
		c.read(p)
	}
	c.flushReplies()
	c.noteInput(kept)
}

// PeerClosed implements poller.Handler. All that the client sent was handled;
// it may still read what waits for it.
func (c *session) PeerClosed() {
	if c.backlog == nil {
		c.conn.Close(errClientClosed)
		return
	}
	if c.state != sessionClosing {
		c.reason = ClientVanished
		c.moveTo(sessionClosing)
		c.shard.closing.Add(c, c.shard.Loop.Now())
	}
}

// Closed implements poller.Handler: the only end of a session.
func (c *session) Closed(err error) {
	s := c.shard
	if c.reason == Undecided {
		switch {
		case errors.Is(err, poller.ErrLoopStopped):
			c.reason = Draining
		case c.state < sessionOpen:
			c.reason = HandshakeFailed
			s.Counters.HandshakeFailures[ReasonVanished]++
		case errors.Is(err, unix.ETIMEDOUT):
			c.reason = SendTimeout
			c.sampleEnd(SendTimeout)
		default:
			c.reason = ClientVanished
		}
	}
	c.moveTo(sessionClosed)
	c.reader.Release()
	s.shared.Contexts.release(c.inbound)
	c.releaseHeld()
	c.forgetInput()
	delete(s.publishing, c)
	delete(s.permits, c)
	delete(s.parting, c)
	if c.backlog != nil {
		c.backlog.Release()
		s.lagging.remove(c)
		c.backlog = nil
	}
	s.Counters.Connections--
	s.shared.connections.Add(-1)
	s.uncount(c.source)
	s.Counters.Disconnects[DisconnectNames[c.reason]]++
	c.logGone(err)
}

// finish ends the conversation with a close frame, then a FIN; the socket closes
// with the client's FIN, or when patience ends. Replies go out before it; events
// that wait do not, nor gaps.
func (c *session) finish(reason Disconnect, code ws.StatusCode, text string) {
	c.sampleEnd(reason)
	c.giveUpPublish()
	c.shard.replies = c.dialect().AppendClose(c.shard.replies, code, text)
	if c.backlog != nil {
		c.backlog.DropEvents()
	}
	c.lastWords(reason)
	if c.backlog != nil {
		c.shard.closing.Add(c, c.shard.Loop.Now())
	}
}

// finishBehind is finish for a client that must get everything that waits for it.
func (c *session) finishBehind(reason Disconnect, code ws.StatusCode, text string) {
	c.giveUpPublish()
	c.flushReplies()
	if c.state != sessionOpen || c.backlog == nil {
		c.finish(reason, code, text)
		return
	}
	c.backlog.PushLast(c.dialect().AppendClose(nil, code, text))
	c.lastWords(reason)
}

// lastWords makes the bytes in the shard's reply buffer the last ones that this session
// sends.
func (c *session) lastWords(reason Disconnect) {
	c.sampleEnd(reason)
	c.reason = reason
	c.moveTo(sessionClosing)
	kept := c.keepsInput()
	c.releaseHeld()
	c.reader.Release()
	c.noteInput(kept)
	c.flushReplies()
	// Later input is read and dropped. Otherwise the close that follows would become a
	// reset, which would destroy our last bytes.
	c.conn.ResumeReading()
	if c.backlog == nil {
		c.said()
	}
}

// said is called when the last bytes have left.
func (c *session) said() {
	if c.conn.PeerClosed() {
		c.conn.Close(errClientClosed)
		return
	}
	c.conn.CloseWrite()
	c.shard.closing.Add(c, c.shard.Loop.Now())
}

// flushReplies sends what the shard's reply buffer gathered for this session
// in one write.
func (c *session) flushReplies() {
	s := c.shard
	if k := s.catcherOf(c); k != nil && c.backlog == nil {
		c.sendEarlier(k, s.replies)
	} else if len(s.replies) > 0 {
		c.write(backlog.OwnReply, s.replies)
	}
	s.replies = s.replies[:0]
	if c.repliesWait() && c.state == sessionOpen {
		c.conn.PauseReading() // until they have left
	}
}

// repliesWait tells whether so many replies wait that the client's commands are not
// read.
func (c *session) repliesWait() bool {
	return c.backlog != nil && c.backlog.OwnBytes > backlog.RepliesHeld
}

// write is the one outbound path for bytes of the session's own: to the socket,
// or ahead of the events that wait for it.
func (c *session) write(kind backlog.OwnKind, p []byte) {
	sent := 0
	if c.backlog == nil {
		n, err := c.conn.Send(p)
		if err != nil {
			c.conn.Close(err)
			return
		}
		c.shard.Counters.Writes++
		c.shard.Counters.BytesOut += uint64(n)
		if sent = n; sent == len(p) {
			if kind == backlog.OwnPing {
				c.pinged()
			}
			return
		}
		c.lag()
	}
	c.backlog.PushOwn(kind, p, sent)
}

// lag starts a backlog.
func (c *session) lag() {
	c.backlog = backlog.New(&c.shard.ledger, c.format, c.shard.Loop.Now())
	c.shard.lagging.add(c)
	if c.state == sessionOpen {
		c.shard.Counters.Lagging++
	}
	c.conn.WantWrite(true)
}

// Writable implements poller.Handler: it sends what waits.
func (c *session) Writable() {
	s := c.shard
	for sent := 0; c.backlog != nil && c.conn.Open() && sent < backlog.FlushPerTurn; {
		b := c.backlog
		if b.Idle() {
			c.caughtUp()
			return
		}
		s.vectors = b.Vectors(s.vectors[:0], &s.gapText)
		n, err := c.conn.SendVectors(s.vectors)
		if err != nil {
			clear(s.vectors)
			c.conn.Close(err)
			return
		}
		if n == 0 && len(s.vectors[0]) > 0 { // empty: a gap for which the dialect has no word
			clear(s.vectors)
			return
		}
		sent += n
		b.Progress, c.lastSeen = s.Loop.Now(), seenAt(s.Loop.Now())
		s.Counters.Writes++
		s.Counters.BytesOut += uint64(n)
		replies := b.OwnBytes > 0
		pinged := b.Took(n, s.vectors)
		clear(s.vectors)
		if pinged {
			c.pinged()
		}
		switch {
		case b.Idle():
			c.caughtUp()
		case replies && b.OwnBytes == 0 && c.state == sessionOpen:
			c.goOnReading()
		}
	}
}

// caughtUp ends the backlog.
func (c *session) caughtUp() {
	c.backlog.Release()
	c.shard.lagging.remove(c)
	if c.state == sessionOpen {
		c.shard.Counters.Lagging--
	}
	c.backlog = nil
	c.conn.WantWrite(false)
	if c.state == sessionClosing {
		c.said()
		return
	}
	if k := c.shard.catcherOf(c); k != nil {
		c.shard.goOnCatching(k)
	}
	c.goOnReading()
}

// goOnReading handles the input that waited for the replies to leave, and continues to
// read.
func (c *session) goOnReading() {
	switch {
	case c.held == nil:
		c.conn.ResumeReading()
	case c.held.waits == waitWhole:
		c.Resume()
	}
}
