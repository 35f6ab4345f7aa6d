package loadtest

import (
	"errors"
	"fmt"
	"net/netip"

	"fleetcast/poller"
)

// doorProtocol is what differs between the ways to publish.
type doorProtocol interface {
	// address is where the door connects.
	address() netip.AddrPort
	// greet begins the conversation; the protocol calls door.opened when events
	// may go out.
	greet(*door)
	// appendEvent appends one event in the form in which it goes out.
	appendEvent(dst []byte, channel string, data []byte) []byte
	// received takes what the server says.
	received(d *door, p []byte)
}

// door is the connection through which events are published. It belongs to the
// loop of the publisher.
type door struct {
	poller.Conn
	protocol  doorProtocol
	publisher *publisher
	unsent    poller.Unsent
	copies    int64 // events that came back because the server sends them to everyone
}

var errDoorClosed = errors.New("the server closed the connection")

// open starts to connect; the publisher is told of the outcome.
func (d *door) open(l *poller.Loop) error {
	if err := l.Dial(&d.Conn, d.protocol.address(), netip.AddrPort{}, d); err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	return nil
}

// opened is called by the protocol when events may go out.
func (d *door) opened() { d.publisher.doorOpened() }

func (d *door) send(p []byte) {
	if err := d.unsent.Send(&d.Conn, p); err != nil {
		d.Close(err)
	}
}

// Connected implements poller.DialHandler.
func (d *door) Connected() { d.protocol.greet(d) }

// Received implements poller.Handler.
func (d *door) Received(p []byte) { d.protocol.received(d, p) }

// PeerClosed implements poller.Handler.
func (d *door) PeerClosed() { d.Close(errDoorClosed) }

// Writable implements poller.Handler.
func (d *door) Writable() {
	if err := d.unsent.Flush(&d.Conn); err != nil {
		d.Close(err)
	}
}

// Swept implements poller.Handler.
func (d *door) Swept() {}

// Closed implements poller.Handler.
func (d *door) Closed(err error) {
	d.unsent.Release()
	d.publisher.doorClosed(fmt.Errorf("publishing: %w", err))
}
