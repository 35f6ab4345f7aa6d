package loadtest

import (
	"bytes"
	"fmt"

	"fleetcast/codec/websocket"
	"fleetcast/poller"

	"github.com/gobwas/ws"
)

// client is one simulated subscriber. It belongs to its worker's goroutine.
type client struct {
	poller.Conn
	worker     *worker
	number     int32 // in the swarm
	channel    int32
	state      clientState
	subscribed bool // it was live once, so events were due to it
	reader     websocket.Reader
	sequence   sequence
	offset     uint64 // of the channel's latest event when it subscribed
	unsent     poller.Unsent
	key        websocket.Key
	response   []byte // the head of the response as far as it has arrived
}

// clientState is the life of a client. It only moves down this list; see enter.
type clientState uint8

const (
	clientConnecting  clientState = iota // dialled, or not yet
	clientShaking                        // the handshake's answer is awaited
	clientSubscribing                    // the subscription's answer is awaited
	clientLive                           // events are due to it
	clientEnded
)

// enter is the one place where a client's state changes.
func (c *client) enter(next clientState) {
	before := c.state
	c.state = next
	switch {
	case next == clientLive:
		c.subscribed = true
		c.worker.swarm.live.Add(1)
		c.worker.connectEnded()
	case next == clientEnded && before < clientLive:
		c.worker.tally.refused++
		c.worker.connectEnded()
	case next == clientEnded:
		c.worker.tally.closed++
		c.worker.swarm.live.Add(-1)
		c.abandon()
	}
}

// refuse ends a client that could not be dialled.
func (c *client) refuse(err error) {
	c.worker.tally.note("client %d: %v", c.number, err)
	c.enter(clientEnded)
}

// abandon stops the waiting for everything that the client has not got.
func (c *client) abandon() {
	w := c.worker
	if w.tracks == nil {
		return
	}
	all := w.swarm.layout.count(c.channel, int64(len(w.tracks)))
	w.passAll(c.channel, span{c.sequence.next, all}, w.swarm.clock.now())
}

// Connected implements poller.DialHandler.
func (c *client) Connected() {
	c.enter(clientShaking)
	c.key = websocket.NewKey()
	w := c.worker
	w.scratch = websocket.AppendRequest(w.scratch[:0], w.swarm.target.host, w.swarm.target.path, c.key, nil)
	c.send(w.scratch)
}

func (c *client) send(p []byte) {
	if err := c.unsent.Send(&c.Conn, p); err != nil {
		c.Close(err)
	}
}

// sendFrame sends a message or a control frame.
func (c *client) sendFrame(op ws.OpCode, payload []byte) {
	c.send(websocket.AppendMaskedFrame(nil, op, payload, ws.NewMask()))
}

// Received implements poller.Handler.
func (c *client) Received(p []byte) {
	if c.state == clientShaking {
		if p = c.takeResponse(p); c.state == clientShaking {
			return
		}
	}
	w := c.worker
	now := w.swarm.clock.now()
	for len(p) > 0 && c.Open() {
		if n := c.takeReferenced(p, now); n > 0 {
			p = p[n:]
			continue
		}
		message, n, ok, err := c.reader.Next(p, &clientReader)
		if err != nil {
			c.Close(err)
			return
		}
		if ok {
			c.take(message, now)
			c.reader.Recycle()
		}
		p = p[n:]
	}
}

// takeReferenced takes the frame at the start of p if it is, byte for byte, the
// event that the client is to get next. It returns the frame's size; 0 means
// that p must be looked at more closely. It runs once per delivery.
func (c *client) takeReferenced(p []byte, now int64) int {
	w := c.worker
	seq := w.swarm.layout.seq(c.channel, c.sequence.next)
	known := w.references.of(seq)
	if known == nil || !bytes.HasPrefix(p, known.frame) || c.reader.Pending() {
		return 0
	}
	c.sequence.next++
	w.tally.delivered++
	w.tally.frameBytes += int64(len(known.frame) - known.header)
	w.arrived(seq, w.swarm.schedule.dues[seq].Load(), now)
	return len(known.frame)
}

// takeResponse takes the handshake's answer and returns what follows it.
func (c *client) takeResponse(p []byte) (rest []byte) {
	if len(c.response) > 0 || websocket.HeadLength(p) == 0 {
		c.response = append(c.response, p...)
		p = c.response
	}
	n := websocket.HeadLength(p)
	if n == 0 {
		if len(p) > websocket.MaxHandshake {
			c.Close(errLongResponse)
		}
		return nil
	}
	c.response = nil
	if err := c.worker.profile.checkResponse(p, c.key); err != nil {
		c.Close(err)
		return nil
	}
	c.subscribe()
	return p[n:]
}

func (c *client) subscribe() {
	w := c.worker
	w.scratch = w.profile.appendSubscribe(w.scratch[:0], w.swarm.channels[c.channel])
	if w.profile.confirms() {
		c.enter(clientSubscribing)
	} else {
		c.enter(clientLive)
	}
	c.sendFrame(ws.OpText, w.scratch)
}

// take takes one message from the server.
func (c *client) take(message websocket.Message, now int64) {
	switch message.Op {
	case ws.OpPing:
		c.sendFrame(ws.OpPong, message.Payload)
	case ws.OpPong:
	case ws.OpClose:
		code, reason, _ := websocket.ParseClose(message.Payload)
		c.Close(fmt.Errorf("%w: %d %q", errPeerClosed, code, reason))
	default:
		c.takeMessage(message.Payload, now)
	}
}

func (c *client) takeMessage(payload []byte, now int64) {
	m := c.worker.profile.read(payload)
	if len(m.channel) > 0 && string(m.channel) != c.worker.swarm.channels[c.channel] {
		c.unexpected(payload)
		return
	}
	switch m.kind {
	case incomingNotice:
	case incomingSubscribed:
		if c.state != clientSubscribing {
			c.unexpected(payload)
			return
		}
		c.offset = m.offset
		c.enter(clientLive)
	case incomingEvent:
		c.takeEvent(m.data, payload, now)
	case incomingGap:
		c.takeGap(m.gap, now)
	case incomingRefusal:
		if c.state == clientSubscribing {
			c.Close(fmt.Errorf("the subscription was refused: %s", m.text))
			return
		}
		c.unexpected(payload)
	default:
		// A mutilated event looks like this too. If one is due, it was this.
		c.takeCorrupted(payload, now)
	}
}

// PeerClosed implements poller.Handler.
func (c *client) PeerClosed() { c.Close(errPeerClosed) }

// Writable implements poller.Handler.
func (c *client) Writable() {
	if err := c.unsent.Flush(&c.Conn); err != nil {
		c.Close(err)
	}
}

// Swept implements poller.Handler.
func (c *client) Swept() {}

// Closed implements poller.Handler.
func (c *client) Closed(err error) {
	c.reader.Release()
	c.unsent.Release()
	c.response = nil
	if err == errDone || err == poller.ErrLoopStopped {
		return
	}
	c.worker.tally.note("client %d: %v", c.number, err)
	c.enter(clientEnded)
}
