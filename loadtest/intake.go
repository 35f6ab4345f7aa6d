package loadtest

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"fleetcast/codec/jsonscan"
	"fleetcast/loadtest/profile"
	"fleetcast/poller"
)

// intake is the loop of the scenario intake: connections to the publish port that send
// as much as the port takes. It belongs to its loop's goroutine, except sent.
type intake struct {
	noListeners
	profile *profile.Profile
	addr    netip.AddrPort
	payload int
	key     string // shown first, if not empty
	clock   clock
	loop    *poller.Loop
	mail    *poller.Mailbox[func()]
	conns   []*intakeConn
	open    int           // connections that are connected
	ready   chan error    // told when all are, or one could not be
	active  int           // connections that have not confirmed their last event
	done    chan struct{} // closed when there are none
	planned int64
	sent    atomic.Int64
	stall   stall // notices that nothing is sent or confirmed any more
}

// intakeConn is one of the connections; it publishes to a channel of its own.
type intakeConn struct {
	poller.Conn
	intake    *intake
	channel   string
	events    int64 // to be published, with the last
	sent      int64
	err       error
	unsent    poller.Unsent
	replies   replies
	lost      int64 // events that the port has neither counted nor refused
	confirmed bool  // the last event is answered, and with it all others
	examples  examples
	refused   int64
	batch     []byte
	data      []byte
}

var (
	errConfirmed    = errors.New("confirmed")
	errNotConfirmed = errors.New("the last event, which confirms the others, was refused")
)

func newIntake(p *profile.Profile, addr netip.AddrPort, config *Intake, clock clock) (*intake, error) {
	in := &intake{
		profile: p, addr: addr, payload: config.Payload, key: config.Key, clock: clock,
		mail:  poller.NewMailbox[func()](),
		ready: make(chan error, config.Connections),
		done:  make(chan struct{}), planned: int64(config.Events),
		stall: stall{limit: int64(config.Stall)},
	}
	for i, name := range channelNames(config.Connections) {
		from, to := config.Events*i/config.Connections, config.Events*(i+1)/config.Connections
		in.conns = append(in.conns, &intakeConn{intake: in, channel: name, events: int64(to - from)})
	}
	var err error
	if in.loop, err = poller.NewLoop(in, poller.LoopConfig{}); err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	return in, nil
}

func (in *intake) call(f func()) {
	done := make(chan struct{})
	in.mail.Post(func() { f(); close(done) })
	in.loop.Wake()
	<-done
}

// connect dials all connections.
func (in *intake) connect() {
	for _, c := range in.conns {
		if err := in.loop.Dial(&c.Conn, in.addr, netip.AddrPort{}, c); err != nil {
			in.ready <- fmt.Errorf("publishing: %w", err)
			return
		}
	}
}

// start begins to publish.
func (in *intake) start() {
	in.stall.idle(in.clock.now())
	for _, c := range in.conns {
		if c.err == nil { // else its end is through; that of a socket just closed is yet to come
			in.active++
		}
	}
	in.checkDone()
}

func (in *intake) checkDone() {
	if in.active == 0 {
		close(in.done)
	}
}

// Turn implements poller.Owner. Every connection that has room gets a batch.
func (in *intake) Turn() (busy bool) {
	for {
		f, ok := in.mail.Take()
		if !ok {
			break
		}
		f()
	}
	if in.active == 0 {
		return false
	}
	for _, c := range in.conns {
		if c.ready() {
			c.sendBatch()
			busy = busy || c.ready()
		}
	}
	return busy
}

// Pending implements poller.Owner.
func (in *intake) Pending() bool { return !in.mail.Empty() }

func (in *intake) Tick() {
	if in.active == 0 {
		return
	}
	var progress int64
	for _, c := range in.conns {
		progress += c.sent - int64(c.unsent.Len()) + c.replies.lines
	}
	if in.stall.check(progress, in.clock.now()) == stallNone {
		return
	}
	for _, c := range in.conns {
		if c.Open() {
			c.Close(fmt.Errorf("nothing was taken or confirmed for %v", time.Duration(in.stall.limit)))
		}
	}
}

// ready tells whether the connection takes more.
func (c *intakeConn) ready() bool { return c.Open() && c.sent < c.events && c.unsent.Len() == 0 }

// intakeBatch is how many bytes are sent at a time.
const intakeBatch = 64 << 10

func (c *intakeConn) sendBatch() {
	in := c.intake
	c.batch = c.batch[:0]
	before := c.sent
	now := in.clock.toUnix(in.clock.now())
	for len(c.batch) < intakeBatch && c.sent < c.events {
		c.data = appendData(c.data[:0], c.sent, now, in.payload)
		c.sent++
		if c.sent == c.events && in.profile.PublishVia() == profile.NDJSON {
			c.batch = appendConfirmed(c.batch, c.channel, c.data)
			continue
		}
		c.batch = in.profile.AppendPublish(c.batch, c.channel, "", c.data)
	}
	in.sent.Add(c.sent - before)
	if err := c.unsent.Send(&c.Conn, c.batch); err != nil {
		c.Close(err)
	}
}

// appendConfirmed appends a request that has an id, so it is answered, and the
// answer tells how many events the channel has had.
func appendConfirmed(dst []byte, channel string, data []byte) []byte {
	dst = append(dst, `{"id":0,"channel":`...)
	dst = jsonscan.AppendString(dst, channel)
	dst = append(dst, `,"data":`...)
	dst = append(dst, data...)
	return append(dst, "}\n"...)
}

// Connected implements poller.DialHandler.
func (c *intakeConn) Connected() {
	via := c.intake.profile.PublishVia()
	if c.intake.key == "" {
		c.opened()
		return
	}
	c.replies.shown = func(answer string) {
		if err := keyRefused(via, answer); err != nil {
			c.Close(err)
			return
		}
		c.opened()
	}
	if err := c.unsent.Send(&c.Conn, appendKey(nil, via, c.intake.key)); err != nil {
		c.Close(err)
	}
}

// opened is called when events may be sent.
func (c *intakeConn) opened() {
	if c.intake.open++; c.intake.open == len(c.intake.conns) {
		c.intake.ready <- nil
	}
}

// Received implements poller.Handler.
func (c *intakeConn) Received(p []byte) {
	c.replies.take(p, func() {}, c.takeLine)
	if c.intake.profile.PublishVia() == profile.RESP && c.replies.lines == c.events {
		c.confirmed = true
		c.Close(errConfirmed)
	}
}

// takeLine takes an answer that is no integer of RESP.
func (c *intakeConn) takeLine(line string) {
	if offset, ok := confirmedOffset(line); ok && c.sent == c.events {
		c.lost, c.confirmed = max(c.events-offset-c.refused, 0), true
		c.Close(errConfirmed)
		return
	}
	c.refused++
	if strings.HasPrefix(line, `{"id":0,`) {
		c.Close(errNotConfirmed)
	}
	c.examples.once(kindRejected, func() (where, expected, got string) {
		return "publishing", "the port to take the event", "the answer " + excerpt([]byte(line))
	})
}

func (c *intakeConn) PeerClosed() { c.Close(errDoorClosed) }

func (c *intakeConn) Writable() {
	if err := c.unsent.Flush(&c.Conn); err != nil {
		c.Close(err)
	}
}

func (c *intakeConn) Swept() {}

func (c *intakeConn) Closed(err error) {
	c.unsent.Release()
	in := c.intake
	if err != errConfirmed {
		c.err = fmt.Errorf("publishing: %w", err)
		select {
		case in.ready <- c.err:
		default:
		}
	}
	if in.active > 0 {
		in.active--
		in.checkDone()
	}
}
