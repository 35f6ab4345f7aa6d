package loadtest

import (
	"errors"

	"fleetcast/loadtest/profile"
)

// tcpDoor publishes on a TCP connection by a protocol of the profile's own. The
// server's messages there are read by the same rules as those to clients.
type tcpDoor struct {
	streamDoor
	codec   *profile.Codec
	arrived []byte // of a message that is not complete
}

// maxArrived bounds a message of the server, in bytes.
const maxArrived = 64 << 10

var errLongMessage = errors.New("the server sent a message that does not end")

func (d *tcpDoor) open(p *publisher) error { return d.dial(p, d) }

// Connected implements poller.DialHandler.
func (d *tcpDoor) Connected() {
	if hello := d.publishing.profile.AppendPublishHello(nil); len(hello) > 0 {
		d.send(hello)
	}
	if d.Open() {
		d.publisher.doorOpened()
	}
}

func (d *tcpDoor) publish(seq int64, channel, key string, data []byte) {
	before := len(d.batch)
	d.batch = d.publishing.profile.AppendPublish(d.batch, channel, key, data)
	d.note(seq, before)
}

// Received implements poller.Handler.
func (d *tcpDoor) Received(p []byte) {
	d.arrived = append(d.arrived, p...)
	if inHTTP(d.arrived) {
		d.Close(errHTTPPort)
		return
	}
	taken := 0
	for taken < len(d.arrived) && d.Open() {
		m, n := d.codec.NextOfStream(d.arrived[taken:])
		if n == 0 {
			break
		}
		taken += n
		switch m.Kind {
		case profile.Ping:
			d.send(m.Answer)
		case profile.Refused:
			d.publisher.refused(noEvent, string(m.Text))
		}
	}
	d.arrived = append(d.arrived[:0], d.arrived[taken:]...)
	if len(d.arrived) > maxArrived {
		d.Close(errLongMessage)
	}
}
