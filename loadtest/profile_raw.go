package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
)

// rawMark is the first byte of a message that a raw server broadcasts.
const rawMark = 'P'

// rawProfile is ProfileRaw.
type rawProfile struct{ to target }

func (*rawProfile) checkResponse(b []byte, _ websocket.Key) error {
	line, _, _ := bytes.Cut(b, []byte("\r\n"))
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 101")) {
		return fmt.Errorf("handshake: the server answered %.100q", line)
	}
	return nil
}

// appendSubscribe appends a message that a raw server reads and ignores, as it
// would read a subscription: so a comparison is of the same exchange, but for
// the answer.
func (*rawProfile) appendSubscribe(dst []byte, channel string) []byte {
	return append(append(dst, "subscribe "...), channel...)
}

func (*rawProfile) confirms() bool { return false }

func (*rawProfile) read(payload []byte) incoming {
	if len(payload) == 0 || payload[0] != rawMark {
		return incoming{}
	}
	return incoming{kind: incomingEvent, data: payload[1:]}
}

func (p *rawProfile) newDoor() doorProtocol { return &rawDoor{to: p.to, key: websocket.NewKey()} }

// rawDoor publishes on a WebSocket of its own. It gets every event back as any
// client does; those are counted and not verified.
type rawDoor struct {
	to       target
	key      websocket.Key
	shaken   bool
	response []byte // the head of the response as far as it has arrived
	reader   websocket.Reader
	message  []byte // scratch
}

func (r *rawDoor) address() netip.AddrPort { return r.to.addr }

func (r *rawDoor) greet(d *door) {
	d.send(websocket.AppendRequest(nil, r.to.host, r.to.path, r.key, nil))
}

func (r *rawDoor) appendEvent(dst []byte, _ string, data []byte) []byte {
	r.message = append(append(r.message[:0], rawMark), data...)
	return websocket.AppendMaskedFrame(dst, ws.OpText, r.message, ws.NewMask())
}

func (r *rawDoor) received(d *door, p []byte) {
	if !r.shaken {
		if p = r.takeResponse(d, p); !r.shaken {
			return
		}
	}
	for len(p) > 0 {
		message, n, ok, err := r.reader.Next(p, &clientReader)
		if err != nil {
			d.Close(err)
			return
		}
		if ok && message.Op == ws.OpText {
			d.copies++
		}
		if ok && message.Op == ws.OpPing {
			d.send(websocket.AppendMaskedFrame(nil, ws.OpPong, message.Payload, ws.NewMask()))
		}
		r.reader.Recycle()
		p = p[n:]
	}
}

// takeResponse takes the handshake's answer and returns what follows it.
func (r *rawDoor) takeResponse(d *door, p []byte) (rest []byte) {
	r.response = append(r.response, p...)
	n := websocket.HeadLength(r.response)
	if n == 0 {
		if len(r.response) > websocket.MaxHandshake {
			d.Close(errLongResponse)
		}
		return nil
	}
	if err := (*rawProfile)(nil).checkResponse(r.response, r.key); err != nil {
		d.Close(err)
		return nil
	}
	rest, r.response, r.shaken = r.response[n:], nil, true
	d.opened()
	return rest
}

var errLongResponse = errors.New("handshake: the response is longer than it may be")
