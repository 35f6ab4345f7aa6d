package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"

	"fleetcast/codec/websocket"
	"fleetcast/loadtest/profile"
	"fleetcast/poller"

	"github.com/gobwas/ws"
)

// door is the way by which a publisher's events enter the server. It belongs to
// the goroutine of the publishing loop.
type door interface {
	// open begins to open it; p.doorOpened or p.doorClosed is told of the outcome.
	open(p *publisher) error
	// publish adds an event to the batch, with a key unless that is empty; batched
	// says how many bytes the batch has, flush sends it.
	publish(channel, key string, data []byte)
	batched() int
	flush()
	// unsent is how many bytes were flushed and wait to be sent.
	unsent() int
	// copies is how many events came back because the server sends them to
	// everyone. Any goroutine may ask.
	copies() int64
	// close ends it; the publisher hears of it if it is open.
	close()
}

var errDoorClosed = errors.New("the server closed the connection")

// newDoor makes the door that the profile says. port is the address of the
// publish port, for those that have one (see publishAt).
func (l *publishing) newDoor(port string) (door, error) {
	via := l.profile.PublishVia()
	if via == profile.Socket {
		return &socketDoor{streamDoor: streamDoor{publishing: l, addr: l.plan.Target.Addr}}, nil
	}
	if via == profile.HTTP {
		return newHTTPDoor(l, port)
	}
	addr, err := resolve(port)
	if err != nil {
		return nil, fmt.Errorf("publish port: %w", err)
	}
	return &portDoor{streamDoor: streamDoor{publishing: l, addr: addr}}, nil
}

// newDoors makes as many of them.
func (l *publishing) newDoors(port string, count int) (all doors, err error) {
	for range count {
		one, err := l.newDoor(port)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// streamDoor is what doors with a socket of the loop have in common.
type streamDoor struct {
	poller.Conn
	publishing *publishing
	publisher  *publisher
	addr       netip.AddrPort
	batch      []byte
	waiting    poller.Unsent
	returned   atomic.Int64
}

func (d *streamDoor) dial(p *publisher, handler poller.DialHandler) error {
	d.publisher = p
	return d.publishing.loop.Dial(&d.Conn, d.addr, netip.AddrPort{}, handler)
}

func (d *streamDoor) batched() int { return len(d.batch) }

func (d *streamDoor) flush() {
	if len(d.batch) > 0 {
		d.send(d.batch)
		d.batch = d.batch[:0]
	}
}

func (d *streamDoor) unsent() int { return d.waiting.Len() }

func (d *streamDoor) copies() int64 { return d.returned.Load() }

func (d *streamDoor) send(p []byte) {
	if err := d.waiting.Send(&d.Conn, p); err != nil {
		d.Close(err)
	}
}

func (d *streamDoor) close() {
	if d.Open() {
		d.Close(errDone)
	}
}

// PeerClosed implements poller.Handler.
func (d *streamDoor) PeerClosed() { d.Close(errDoorClosed) }

// Writable implements poller.Handler.
func (d *streamDoor) Writable() {
	if err := d.waiting.Flush(&d.Conn); err != nil {
		d.Close(err)
	}
}

// Swept implements poller.Handler.
func (d *streamDoor) Swept() {}

// Closed implements poller.Handler.
func (d *streamDoor) Closed(err error) {
	d.waiting.Release()
	d.publisher.doorClosed(fmt.Errorf("%s: %w", d.addr, err))
}

// portDoor publishes on a port that takes NDJSON or RESP.
type portDoor struct {
	streamDoor
	replies replies
}

func (d *portDoor) open(p *publisher) error { return d.dial(p, d) }

// Connected implements poller.DialHandler. There is nothing to say first: the
// first request decides the protocol.
func (d *portDoor) Connected() { d.publisher.doorOpened() }

func (d *portDoor) publish(channel, key string, data []byte) {
	d.batch = d.publishing.profile.AppendPublish(d.batch, channel, key, data)
}

// Received implements poller.Handler.
func (d *portDoor) Received(p []byte) { d.replies.take(p, d.publisher.refused) }

// replies takes the lines that a publish port answers.
type replies struct {
	line  []byte // one that has arrived in part
	good  int64  // integers of RESP
	lines int64
}

// maxReply bounds what is kept of an answer, in bytes.
const maxReply = 4 << 10

// take takes what the port has answered. In NDJSON without ids each answer is a
// failure; in RESP those that are not an integer are.
func (r *replies) take(p []byte, refused func(text string)) {
	for len(p) > 0 {
		line, rest, whole := bytes.Cut(p, []byte("\n"))
		if len(r.line) > 0 || !whole {
			r.line = append(r.line, line[:min(len(line), maxReply-len(r.line))]...)
			line = r.line
		}
		if whole {
			r.lines++
			if line = bytes.TrimSuffix(line, []byte("\r")); len(line) > 0 && line[0] == ':' {
				r.good++
			} else {
				refused(string(line))
			}
			r.line = r.line[:0]
		}
		p = rest
	}
}

// socketDoor publishes on a WebSocket of its own. It gets every event back as
// any client does; those are counted and not verified.
type socketDoor struct {
	streamDoor
	request  websocket.Request
	key      websocket.Key
	shaken   bool
	response []byte // the head of the response as far as it has arrived
	reader   websocket.Reader
	message  []byte // scratch
}

func (d *socketDoor) open(p *publisher) error { return d.dial(p, d) }

// Connected implements poller.DialHandler.
func (d *socketDoor) Connected() {
	d.key = websocket.NewKey()
	d.request = handshakeRequest(&d.publishing.plan.Target, d.publishing.profile)
	d.send(d.request.Append(nil, d.key))
}

func (d *socketDoor) publish(channel, key string, data []byte) {
	d.message = d.publishing.profile.AppendPublish(d.message[:0], channel, key, data)
	d.batch = websocket.AppendMaskedFrame(d.batch, ws.OpText, d.message, ws.NewMask())
}

// Received implements poller.Handler.
func (d *socketDoor) Received(p []byte) {
	if !d.shaken {
		if p = d.takeResponse(p); !d.shaken {
			return
		}
	}
	for len(p) > 0 && d.Open() {
		message, n, ok, err := d.reader.Next(p, &clientReader)
		if err != nil {
			d.Close(err)
			return
		}
		if ok {
			d.take(message)
			d.reader.Recycle()
		}
		p = p[n:]
	}
}

func (d *socketDoor) take(message websocket.Message) {
	switch message.Op {
	case ws.OpText:
		d.returned.Add(1)
	case ws.OpPing:
		d.send(websocket.AppendMaskedFrame(nil, ws.OpPong, message.Payload, ws.NewMask()))
	}
}

// Closed implements poller.Handler.
func (d *socketDoor) Closed(err error) {
	d.reader.Release()
	d.streamDoor.Closed(err)
}

// takeResponse takes the handshake's answer and returns what follows it.
func (d *socketDoor) takeResponse(p []byte) (rest []byte) {
	d.response = append(d.response, p...)
	n := websocket.HeadLength(d.response)
	if n == 0 {
		if len(d.response) > websocket.MaxHandshake {
			d.Close(errLongHead)
		}
		return nil
	}
	if _, err := checkResponse(d.publishing.profile, &d.request, d.response, d.key); err != nil {
		d.Close(err)
		return nil
	}
	rest, d.response, d.shaken = d.response[n:], nil, true
	d.publisher.doorOpened()
	return rest
}
