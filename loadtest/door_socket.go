package loadtest

import (
	"fmt"

	"fleetcast/codec/websocket"
	"fleetcast/loadtest/profile"

	"github.com/gobwas/ws"
)

// socketDoor publishes on a WebSocket of its own. If the server sends events to all
// connections, it gets every event back, as any client does. Those are counted and not
// verified.
type socketDoor struct {
	streamDoor
	request  websocket.Request
	key      websocket.Key
	shaken   bool
	response []byte // the head of the response as far as it has arrived
	reader   websocket.Reader
	message  []byte // scratch
	codec    *profile.Codec
	greeting bool // the answer to its hello has not come
}

func (d *socketDoor) open(p *publisher) error { return d.dial(p, d) }

// Connected implements poller.DialHandler.
func (d *socketDoor) Connected() {
	d.key = websocket.NewKey()
	d.request = handshakeRequest(&d.publishing.plan.Target, d.publishing.profile)
	d.send(authorized(&d.request, d.publishing.plan.Tokens.of(0)).Append(nil, d.key))
}

func (d *socketDoor) publish(seq int64, channel, key string, data []byte) {
	before := len(d.batch)
	d.message = d.publishing.profile.AppendPublish(d.message[:0], channel, key, data)
	d.batch = websocket.AppendMaskedFrame(d.batch, ws.OpText, d.message, ws.NewMask())
	d.note(seq, before)
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
	case ws.OpText, ws.OpBinary:
		for payload := message.Payload; ; {
			m, rest := d.codec.Next(payload)
			d.takeMessage(&m)
			if payload = rest; len(rest) == 0 {
				return
			}
		}
	case ws.OpPing:
		d.send(websocket.AppendMaskedFrame(nil, ws.OpPong, message.Payload, ws.NewMask()))
	}
}

// takeMessage takes one of the profile's messages.
func (d *socketDoor) takeMessage(m *profile.Message) {
	switch m.Kind {
	case profile.Event:
		d.returned.Add(1)
	case profile.Greeted:
		if d.greeting {
			d.greeting = false
			d.publisher.doorOpened()
		}
	case profile.Ping:
		d.sendText(m.Answer)
	case profile.Refused:
		if d.greeting {
			d.Close(fmt.Errorf("the server refused: %s", m.Text))
			return
		}
		d.publisher.refused(noEvent, string(m.Text))
	}
}

func (d *socketDoor) sendText(text []byte) {
	if len(text) > 0 {
		d.send(websocket.AppendMaskedFrame(nil, ws.OpText, text, ws.NewMask()))
	}
}

// greet says hello as a client does.
func (d *socketDoor) greet() {
	hello, awaited := d.publishing.profile.AppendHello(nil)
	d.sendText(hello)
	if d.greeting = awaited; !awaited && d.Open() {
		d.publisher.doorOpened()
	}
}

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
	d.greet()
	return rest
}
