package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/command"
	"fleetcast/codec/websocket"
)

// oracleClient is one connection. One goroutine acts, another one reads and
// compares: replies come in the order of the commands and are what the state of
// the subscriptions, known on this side too, makes them. Events come for
// channels between their subscribed and unsubscribed only, from the offset
// behind the one that subscribed named, without holes or repetition.
type oracleClient struct {
	run  *oracleRun
	conn *net.TCPConn
	name string

	// The acting side's.
	joined   map[string]bool
	buffer   []byte
	commands uint64

	mu       sync.Mutex
	expected []expectation
	position map[string]uint64 // last offset received, of what is subscribed to
	lost     map[string]uint64 // last one that the gap must name that comes next, of these
	leaving  bool              // an abrupt end is this side's doing

	read chan struct{} // closed when the reader has ended
}

// expectation is a command that was sent.
type expectation struct {
	kind    command.Kind
	code    command.Code // of an error
	id      uint64
	channel string
	data    string // of a publish
	start   command.Start
}

func (o *oracleRun) oracleClient(name string) (*oracleClient, error) {
	slow := o.setup.slow && name[len(name)-1]%2 == 0
	conn, err := o.dialOracle(slow)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(3 * patience))
	c := &oracleClient{
		run: o, conn: conn.(*net.TCPConn), name: name,
		joined: make(map[string]bool), position: make(map[string]uint64), lost: make(map[string]uint64), read: make(chan struct{}),
	}
	in := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, head+o.anyOffer(name)+"\r\n"); err != nil {
		return nil, err
	}
	for line := ""; line != "\r\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			return nil, fmt.Errorf("handshake: %w", err)
		}
	}
	if slow {
		in = bufio.NewReaderSize(&pacedReader{in, 400e3, time.Now()}, 1024)
	}
	go func() {
		defer close(c.read)
		err := c.receive(in)
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.leaving {
			o.check(fmt.Errorf("%s: %w", name, err))
		}
	}()
	return c, nil
}

// dialOracle connects, with a small receive buffer if the client is to be slow.
func (o *oracleRun) dialOracle(slow bool) (net.Conn, error) {
	dialer := net.Dialer{Timeout: patience}
	if slow {
		dialer.Control = func(_, _ string, c syscall.RawConn) (err error) {
			controlErr := c.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
			})
			return errors.Join(controlErr, err)
		}
	}
	return dialer.Dial("tcp", o.clientAddr())
}

// anyOffer is what a client of that name offers: nothing, or one of several
// windows.
func (o *oracleRun) anyOffer(name string) string {
	if !o.setup.compressed {
		return ""
	}
	offers := []string{"", "permessage-deflate", "permessage-deflate; server_max_window_bits=12", "permessage-deflate; server_max_window_bits=8"}
	offer := offers[len(name)%2*2+int(name[len(name)-1])%2]
	if offer == "" {
		return ""
	}
	return "Sec-WebSocket-Extensions: " + offer + "\r\n"
}

// act does something at random.
func (c *oracleClient) act(random *rand.Rand) {
	channel := c.run.anyChannel(random)
	switch random.IntN(10) {
	case 0, 1:
		c.command(command.Subscribe, channel)
	case 2, 3:
		c.subscribeFrom(channel, c.run.anyStart(channel, random))
	case 4, 5:
		c.command(command.Unsubscribe, channel)
	case 6:
		if c.joined[channel] {
			c.catchUp(channel)
		}
		c.command(command.Unsubscribe, channel)
	case 7, 8:
		for range random.IntN(20) + 1 {
			c.command(command.Publish, channel)
		}
	case 9:
		c.command(command.Ping, "")
	}
	if random.IntN(3) > 0 { // otherwise several go out together
		c.flush()
	}
}

// anyStart is a position at which the channel was, or a number of its latest events.
func (o *oracleRun) anyStart(channel string, random *rand.Rand) (start command.Start) {
	o.history.mu.Lock()
	defer o.history.mu.Unlock()
	c := o.history.channels[channel]
	switch {
	case random.IntN(3) == 0:
		start.Last = 1 + uint32(random.IntN(1+2*o.setup.keeps))
	case c.epoch != "":
		back := random.Uint64N(1 + min(c.last, uint64(2*o.setup.keeps)))
		start.HasSince, start.Since = true, command.Since{Epoch: []byte(c.epoch), Offset: c.last - back}
	}
	return start
}

// subscribeFrom is command for a subscription that begins at a start.
func (c *oracleClient) subscribeFrom(channel string, start command.Start) {
	if c.joined[channel] || start.IsLive() {
		c.command(command.Subscribe, channel)
		return
	}
	c.commands++
	c.joined[channel] = true
	c.expect(expectation{id: c.commands, channel: channel, kind: command.KindSubscribed, start: start})
	text := command.AppendResume(nil, command.NewID(c.commands), channel, start)
	c.buffer = websocket.AppendMaskedFrame(c.buffer, ws.OpText, text, ws.NewMask())
}

func (c *oracleClient) expect(want expectation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expected = append(c.expected, want)
}

// command sends a command with the next act that flushes.
func (c *oracleClient) command(kind command.Type, channel string) {
	c.commands++
	id := c.commands
	want := expectation{id: id, channel: channel}
	var text []byte
	switch kind {
	case command.Subscribe:
		want.kind = command.KindSubscribed
		if c.joined[channel] {
			want.kind, want.code = command.KindError, command.AlreadySubscribed
		}
		c.joined[channel] = true
		text = command.AppendSubscribe(nil, command.NewID(id), channel)
	case command.Unsubscribe:
		want.kind = command.KindUnsubscribed
		if !c.joined[channel] {
			want.kind, want.code = command.KindError, command.NotSubscribed
		}
		delete(c.joined, channel)
		text = fmt.Appendf(nil, `{"type":"unsubscribe","id":%d,"channel":%q}`, id, channel)
	case command.Publish:
		want.kind, want.data = command.KindPublished, fmt.Sprintf(`"%s %d"`, c.name, id)
		text = fmt.Appendf(nil, `{"type":"publish","id":%d,"channel":%q,"data":%s}`, id, channel, want.data)
	case command.Ping:
		want.kind = command.KindPong
		text = fmt.Appendf(nil, `{"type":"ping","id":%d}`, id)
	}
	c.expect(want)
	c.buffer = websocket.AppendMaskedFrame(c.buffer, ws.OpText, text, ws.NewMask())
}

func (c *oracleClient) flush() {
	_, err := c.conn.Write(c.buffer)
	c.run.check(err)
	c.buffer = c.buffer[:0]
}

// catchUp waits until everything has come that a publisher was told of.
func (c *oracleClient) catchUp(channel string) {
	c.flush()
	last := c.run.history.lastTold(channel)
	c.await(fmt.Sprintf("offset %d of %s", last, channel), func() bool { return c.position[channel] >= last })
}

// await waits for a condition on what the reader knows.
func (c *oracleClient) await(what string, condition func() bool) {
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(2 * patience); ; <-poll.C {
		c.mu.Lock()
		ok := condition()
		c.mu.Unlock()
		if ok || c.run.failed.Load() {
			return
		}
		if time.Now().After(deadline) {
			c.run.check(fmt.Errorf("%s does not get %s", c.name, what))
			return
		}
	}
}

// disconnect ends the connection in one of the ways in which clients do.
func (c *oracleClient) disconnect(random *rand.Rand) {
	c.flush()
	c.mu.Lock()
	c.leaving = true
	c.mu.Unlock()
	switch random.IntN(4) {
	case 0: // a reset
		c.conn.SetLinger(0)
		c.conn.Close()
	case 1: // a FIN, and nobody reads
		c.conn.Close()
	case 2: // a FIN behind everything
		c.conn.CloseWrite()
	case 3:
		c.conn.Write(websocket.AppendMaskedClose(nil, ws.StatusNormalClosure, "", ws.NewMask()))
	}
	<-c.read
	c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.expected {
		if e.kind == command.KindPublished {
			c.run.history.count(e.channel, 0, 1)
		}
	}
}

// leaveInPeace waits for the last event of every channel subscribed to, leaves
// them all, and sees nothing come behind.
func (c *oracleClient) leaveInPeace() {
	for channel := range c.joined {
		c.catchUp(channel)
	}
	for channel := range c.joined {
		c.command(command.Unsubscribe, channel)
	}
	c.flush()
	c.await("its last replies", func() bool { return len(c.expected) == 0 })
	c.mu.Lock()
	c.leaving = true
	c.mu.Unlock()
	c.conn.Write(websocket.AppendMaskedClose(nil, ws.StatusNormalClosure, "", ws.NewMask()))
	<-c.read
	c.conn.Close()
}

var errClosed = errors.New("closed by the gateway")

// receive compares messages until the connection ends.
func (c *oracleClient) receive(in *bufio.Reader) error {
	var message command.ServerMessage
	var inflater inflater
	for {
		f, err := nextFrame(in)
		if err != nil {
			return err
		}
		switch f.Header.OpCode {
		case ws.OpClose:
			if n, err := io.Copy(io.Discard, in); n > 0 && err == nil {
				c.run.check(fmt.Errorf("%s: %d bytes behind the close frame", c.name, n))
			}
			return errClosed
		case ws.OpPing:
			_, _ = c.conn.Write(websocket.AppendMaskedFrame(nil, ws.OpPong, f.Payload, ws.NewMask()))
			continue
		}
		if f.Header.Rsv != 0 {
			if f.Payload, err = inflater.inflate(f.Payload); err != nil {
				return fmt.Errorf("a compressed message: %w", err)
			}
		}
		if err := message.Parse(f.Payload); err != nil {
			return fmt.Errorf("message %q: %w", f.Payload, err)
		}
		if err := c.compare(&message); err != nil {
			c.run.check(fmt.Errorf("%s received %s: %w", c.name, f.Payload, err))
			return err
		}
	}
}

func (c *oracleClient) compare(m *command.ServerMessage) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m.Kind {
	case command.KindWelcome:
		return nil
	case command.KindEvent:
		last, ok := c.position[string(m.Channel)]
		if !ok {
			return errors.New("it is not subscribed to")
		}
		if lost := c.lost[string(m.Channel)]; m.Offset != last+1 || lost > last {
			return fmt.Errorf("the last offset was %d, lost are those up to %d", last, lost)
		}
		c.position[string(m.Channel)] = m.Offset
		return c.run.history.saw(string(m.Channel), m.Offset, string(m.Data))
	}
	if m.Kind == command.KindGap {
		return c.compareGap(m)
	}
	if len(c.expected) == 0 {
		return errors.New("there was no command")
	}
	want := c.expected[0]
	c.expected = c.expected[1:]
	if m.Kind != want.kind || m.ID.Value != want.id || string(m.Code) != string(want.code) {
		return fmt.Errorf("the command was %+v", want)
	}
	switch m.Kind {
	case command.KindSubscribed:
		c.position[want.channel], c.lost[want.channel] = m.Offset, m.LostTo
		if err := want.compareStart(m); err != nil {
			return err
		}
		return c.run.history.sawEpoch(want.channel, string(m.Epoch))
	case command.KindUnsubscribed:
		delete(c.position, want.channel)
	case command.KindPublished:
		return c.run.history.told(want.channel, m.Offset, want.data)
	}
	return nil
}

// compareStart compares where a subscription begins.
func (e *expectation) compareStart(m *command.ServerMessage) error {
	since := e.start.Since.Offset
	switch {
	case m.Resumes != e.start.HasSince:
		return errors.New("it tells of a recovery, or does not")
	case e.start.IsLive():
		return nil
	case m.Offset > m.Latest:
		return errors.New("it begins behind the latest event")
	case !e.start.HasSince:
		if m.Offset+uint64(e.start.Last) < m.Latest {
			return fmt.Errorf("it begins before the last %d", e.start.Last)
		}
		return nil
	case m.Offset != since:
		return fmt.Errorf("asked was for events since %d", since)
	case m.Recovered != (m.LostFrom == 0), m.LostFrom > 0 && m.LostFrom != since+1:
		return errors.New("what is lost is not what is not recovered")
	}
	return nil
}

// compareGap compares a gap: it names what has been told to be lost, or what is trimmed while
// the client catches up.
func (c *oracleClient) compareGap(m *command.ServerMessage) error {
	channel := string(m.Channel)
	last, ok := c.position[channel]
	if !ok || m.From != last+1 || m.To < max(m.From, c.lost[channel]) {
		return fmt.Errorf("the last offset was %d (%v), lost are those up to %d", last, ok, c.lost[channel])
	}
	c.position[channel], c.lost[channel] = m.To, 0
	c.run.gaps.Add(1)
	return nil
}
