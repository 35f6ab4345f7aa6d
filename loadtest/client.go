package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"fleetcast/codec/websocket"
	"fleetcast/loadtest/profile"
	"fleetcast/poller"

	"github.com/gobwas/ws"
)

// client is one simulated subscriber. It belongs to its worker's goroutine.
type client struct {
	poller.Conn
	cohort    *cohort
	number    int32 // in its group
	channel   int32 // of its flow
	state     clientState
	expected  bool // an order waits for it
	awaited   bool // events are in flight until it has them
	anywhere  bool // which event it gets first cannot be known
	owed      bool // whatever was published since it subscribed is due to it
	told      bool // the server has sent a close frame
	returning bool // it comes back when it has left
	renewed   bool // it shows its second token
	queued    bool // it is about to be dialled
	served    bool // it has got an event in this life
	proved    bool // it has seen a probe in this life, if there are any
	placed    bool // the server has told it a position
	offers    bool // it offers compression in its handshake
	form      form // of what it gets in this life
	origin    int8 // of its offsets, in those of its channel
	attempts  int8 // in a row, that failed
	life      uint32
	dialled   int64 // time of the clock
	returnsAt int64 // it does not come back before, time of the clock
	away      int64 // when it was first turned away since it last was live, time of the clock; 0: it was not
	reader    websocket.Reader
	wire      int64 // bytes that have arrived of the message that comes next, headers included
	sequence  sequence
	unsent    poller.Unsent
	opening   *opening  // while it is opening
	echo      *echo     // in the scenario echo
	pinger    *pinger   // nil: it has never pinged
	ticket    *ticket   // nil: it has none
	recovery  *recovery // nil: it has never come back with a position
}

// opening is what a client needs until its handshake is done.
type opening struct {
	key      websocket.Key
	response []byte // the head of the response as far as it has arrived
}

// clientState is the life of a client; see enter.
type clientState uint8

const (
	clientAbsent      clientState = iota // has no connection
	clientDialling                       // waits for the connection
	clientShaking                        // waits for the handshake's answer
	clientGreeting                       // waits for the answer to its hello
	clientSubscribing                    // waits for the subscription's answer
	clientLive                           // events are due to it
	clientLeaving                        // has sent a close frame, or is about to be closed
)

// underWay tells whether the client is to become live.
func (s clientState) underWay() bool { return clientDialling <= s && s < clientLive }

var (
	errOverdue     = fmt.Errorf("no subscription within %v", patience)
	errHandshake   = fmt.Errorf("no answer to the handshake within %v", patience)
	errNoGoodbye   = fmt.Errorf("the server did not close within %v of the client's close frame", patience)
	errTLS         = errors.New("handshake: the server speaks TLS there, which fleetload does not: name a plain port")
	errNoAnswer    = errors.New("the server closed the connection without an answer to the handshake: perhaps it expects TLS, which fleetload does not speak")
	errPeerClosed  = errors.New("the server closed the connection")
	errLongHead    = errors.New("handshake: the response is longer than it may be")
	errVanished    = errors.New("vanished")
	errLeft        = errors.New("left")
	errDone        = errors.New("done")
	errNotEvenDial = errors.New("could not be dialled")
)

// enter is the one place where a client's state changes.
func (c *client) enter(next clientState) {
	h, before := c.cohort, c.state
	c.state = next
	if before.underWay() != next.underWay() {
		if next.underWay() {
			h.worker.underWay++
		} else {
			h.worker.underWay--
		}
	}
	if (before == clientLive) != (next == clientLive) {
		step := 1
		if before == clientLive {
			step = -1
		}
		h.live += step
		if c.form != formPlain {
			h.compressing += step
		}
		h.counters().live.Add(int64(step))
	}
}

// name is what notes call the client.
func (c *client) name() string {
	name := fmt.Sprintf("client %d", c.number)
	if c.cohort.plan.Name != "" {
		name = c.cohort.plan.Name + " " + name
	}
	if c.recovery != nil && c.recovery.state > recoveryAsked {
		return fmt.Sprintf("%s, back with offset %d", name, c.recovery.from)
	}
	return name
}

// Connected implements poller.DialHandler.
func (c *client) Connected() {
	c.enter(clientShaking)
	if size := c.cohort.plan.ReceiveBuffer; size > 0 {
		if err := c.SetReceiveBuffer(size); err != nil {
			c.Close(err)
			return
		}
	}
	c.opening = &opening{key: websocket.NewKey()}
	w := c.cohort.worker
	w.scratch = authorized(w.swarm.request(c.offers), c.credential()).Append(w.scratch[:0], c.opening.key)
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
	now := c.cohort.worker.swarm.clock.now()
	for len(p) > 0 && c.Open() {
		if n := c.takeReferenced(p, now); n > 0 {
			p = p[n:]
			continue
		}
		begun := c.reader.Pending()
		message, n, ok, err := c.reader.Next(p, c.form.reader())
		if err != nil {
			c.violated(err)
			return
		}
		c.wire += int64(n)
		if ok {
			w := wire{size: c.payloadOnWire(&message), op: message.Op}
			if !begun {
				w.frames = p[:n]
			}
			c.take(message, w, now)
			c.reader.Recycle()
		}
		p = p[n:]
	}
}

// takeReferenced takes the frame at the start of p if it is, byte for byte, the event
// that the client is to get next. It returns the frame's size; 0 means that p must be
// looked at more closely. It runs once for each delivery.
func (c *client) takeReferenced(p []byte, now int64) int {
	f := c.cohort.flow
	if f == nil || !f.counting || c.state != clientLive || c.form >= comparedForms {
		return 0
	}
	seq := f.layout.seq(c.channel, c.sequence.next)
	known := f.references[c.form].of(seq)
	if known == nil || !bytes.HasPrefix(p, known.frames) || c.reader.Pending() || c.anywhere {
		return 0
	}
	c.sequence.next++
	c.cohort.tally.deliver(c.form, known.size)
	c.arrived(f, seq, f.schedule.dues[seq].Load(), now)
	if c.recovery != nil {
		c.trace(arrivalFresh, c.sequence.next-1, span{}, now)
	}
	return len(known.frames)
}

// The first bytes of what a TLS server says to plain text (RFC 8446, 5.1 and 6).
const tlsAlert, tlsMajor = 21, 3

// takeResponse takes the handshake's answer and returns what follows it.
func (c *client) takeResponse(p []byte) (rest []byte) {
	o, s := c.opening, c.cohort.worker.swarm
	if len(o.response) > 0 || websocket.HeadLength(p) == 0 {
		o.response = append(o.response, p...)
		p = o.response
	}
	if len(p) > 1 && p[0] == tlsAlert && p[1] == tlsMajor {
		c.Close(errTLS)
		return nil
	}
	n := websocket.HeadLength(p)
	if n == 0 {
		if len(p) > websocket.MaxHandshake {
			c.Close(errLongHead)
		}
		return nil
	}
	c.opening = nil
	h, err := checkResponse(s.profile, s.request(c.offers), p, o.key)
	if err != nil {
		if away := parseTurnedAway(p[:n], time.Now()); away != nil {
			err = away
		} else {
			c.ticket = nil // it may be what was refused
		}
		c.Close(err)
		return nil
	}
	if c.form = formOf(&h); c.offers && c.form == formPlain {
		c.cohort.tally.Declined++
	}
	c.begin()
	return p[n:]
}

// wire is how a message arrived.
type wire struct {
	frames []byte // as they arrived, if they did in one piece; nil otherwise
	size   int    // bytes of their payload
	op     ws.OpCode
}

// payloadOnWire returns how many bytes of payload the frames of a complete message had.
// For fragments, all headers but the first count too.
func (c *client) payloadOnWire(m *websocket.Message) int {
	if m.Op.IsControl() { // it may have come between fragments
		c.wire -= int64(ws.MinHeaderSize + len(m.Payload))
		return len(m.Payload)
	}
	total := int(c.wire)
	c.wire = 0
	for _, header := range [...]int{2, 4} {
		if size := total - header; websocket.HeaderSize(size) <= header {
			return size
		}
	}
	return total - websocket.HeaderSize(total)
}

// take takes one message from the server.
func (c *client) take(message websocket.Message, w wire, now int64) {
	switch message.Op {
	case ws.OpPing:
		c.sendFrame(ws.OpPong, message.Payload)
	case ws.OpPong:
		c.takePong(message.Payload, now)
	case ws.OpClose:
		c.takeClose(message.Payload)
	default:
		switch {
		case c.state == clientLeaving: // bytes still under way do not matter
		case c.echo != nil:
			c.takeEcho(message, w, now)
		default:
			c.takeMessages(message.Payload, w, now)
		}
	}
}

// takeClose takes a close frame: the answer to the client's own, after which
// the server closes the connection, or the server's wish, which is answered (RFC
// 6455, 5.5.1).
func (c *client) takeClose(payload []byte) {
	c.told = true
	if c.state == clientLeaving {
		return
	}
	code, reason, _ := websocket.ParseClose(payload)
	c.sendClose(code)
	c.Close(fmt.Errorf("%w: %d %q", errPeerClosed, code, reason))
}

// violated fails the connection for what the server did wrong (RFC 6455, 7.1.7).
func (c *client) violated(err error) {
	var violation *websocket.CloseError
	if errors.As(err, &violation) && c.state != clientLeaving {
		c.sendClose(violation.Code)
	}
	c.Close(err)
}

// sendClose sends a close frame as the connection's last words; 1005 leaves the
// code out. A connection that does not take them ends for its own reason.
func (c *client) sendClose(code ws.StatusCode) {
	_ = c.unsent.Send(&c.Conn, websocket.AppendMaskedClose(nil, code, "", ws.NewMask()))
}

// takeMessages takes the profile's messages, which one of WebSocket may hold
// several of.
func (c *client) takeMessages(payload []byte, w wire, now int64) {
	tally := &c.cohort.tally
	before := tally.Delivered
	for whole := true; c.Open(); {
		m, rest := c.cohort.worker.codec.Next(payload)
		if whole = whole && len(rest) == 0; whole {
			c.takeMessage(&m, payload, w, whole, now)
			return
		}
		c.takeMessage(&m, payload[:len(payload)-len(rest)], wire{op: w.op}, whole, now)
		if payload = rest; len(rest) == 0 {
			break
		}
	}
	if tally.Delivered > before {
		tally.addFrame(c.form, w.size) // once, whatever else it holds
	}
}

// takeMessage takes one message. whole tells that there was no other in its
// frames.
func (c *client) takeMessage(m *profile.Message, text []byte, w wire, whole bool, now int64) {
	f := c.cohort.flow
	if len(m.Channel) > 0 && string(m.Channel) != f.plan.Channels[c.channel] {
		c.unexpected(text)
		return
	}
	switch {
	case m.Kind == profile.Notice:
		c.takeTicket(text, now)
	case m.Kind == profile.Ping:
		if len(m.Answer) > 0 {
			c.sendFrame(ws.OpText, m.Answer)
		}
	case m.Kind == profile.Greeted && c.state == clientGreeting:
		c.subscribe()
	case m.Kind == profile.Subscribed && c.state == clientSubscribing:
		c.takeAnswer(m, w, now)
	case m.Kind == profile.Refused && c.state.underWay():
		c.Close(fmt.Errorf("the server refused: %s", m.Text))
	case m.Kind == profile.Event:
		c.takeEvent(m, text, w, whole, now)
	case m.Kind == profile.Gap:
		c.takeGap(m, now)
	case m.Kind == profile.Unknown:
		// A mutilated event looks like this. If one is due, it was this.
		c.takeCorrupted(text, text, now)
	default:
		c.unexpected(text)
	}
}

func (c *client) PeerClosed() {
	if c.state == clientLeaving && c.told {
		c.Close(errLeft)
		return
	}
	if c.state == clientShaking {
		err := errNoAnswer
		if said := c.opening.response; len(said) > 0 {
			err = fmt.Errorf("handshake: the server said what is no answer in HTTP and closed the connection: %s", excerpt(said))
		}
		c.Close(err)
		return
	}
	c.Close(errPeerClosed)
}

func (c *client) Writable() {
	if err := c.unsent.Flush(&c.Conn); err != nil {
		c.Close(err)
		return
	}
	if c.echo != nil {
		c.sendEchoes()
	}
}

func (c *client) Swept() {}

func (c *client) Closed(err error) { c.ended(err) }
