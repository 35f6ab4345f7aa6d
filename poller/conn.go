package poller

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// ErrDetached is the reason given to a handler whose connection was taken out
// of its loop by Detach.
var ErrDetached = errors.New("poller: connection detached")

// ErrLoopStopped is the reason given to handlers whose connection ends because its loop
// ends, and the error of adding something to a closed loop.
var ErrLoopStopped = errors.New("poller: loop stopped")

// maxVectors is the most buffers one SendVectors passes to the kernel.
const maxVectors = 64

// Handler is told what happens on a connection, always by its loop's
// goroutine.
type Handler interface {
	// Received is given bytes in the loop's read buffer, valid (and free to
	// be changed) during the call only.
	Received(p []byte)
	// PeerClosed reports the peer's FIN after all its bytes were received.
	// Nothing more will be received; sending still works. The handler closes
	// the connection when it has no more to say.
	PeerClosed()
	// Writable reports room in the send buffer, asked for by WantWrite.
	Writable()
	// Swept is called once per sweep interval.
	Swept()
	// Closed is called exactly once, at the end of the turn in which the connection was
	// closed. The descriptor is closed then. err is the error that was given to Close.
	Closed(err error)
}

// connState is the life of a connection. It only moves down this list; see
// moveTo.
type connState uint8

const (
	stateNew        connState = iota // not registered yet
	stateConnecting                  // a dial is under way
	stateOpen                        // bytes may flow
	stateClosing                     // given up; closed at the end of the turn
	stateClosed                      // the descriptor is gone
)

// Conn is one socket of a loop. Its handler embeds it in its own structure of a
// connection. It is registered with Loop.Register or Loop.Dial and belongs to the
// loop's goroutine.
type Conn struct {
	loop       *Loop
	handler    Handler
	fd         int32
	slot       int32
	interest   uint32 // what epoll reports now; 0: the socket is not in epoll at all
	state      connState
	paused     bool // by PauseReading
	peerClosed bool // the FIN was read
	wantWrite  bool
}

// Register makes fd, a non-blocking stream socket, a connection of the loop
// that is reported to handler. On an error, [ErrLoopStopped] if the loop is
// closed, the caller still owns fd.
func (l *Loop) Register(c *Conn, fd int, handler Handler) error {
	if l.closed {
		return fmt.Errorf("register socket: %w", ErrLoopStopped)
	}
	l.attach(c, fd, handler)
	c.moveTo(stateOpen)
	if err := c.updateInterest(); err != nil {
		l.detach(c)
		return fmt.Errorf("register socket: %w", err)
	}
	return nil
}

func (l *Loop) attach(c *Conn, fd int, handler Handler) {
	if l.Conns() == 0 {
		// The clock may have stood still: the time without connections does
		// not count towards anyone's sweep.
		l.sweep.last = l.now
	}
	*c = Conn{loop: l, handler: handler, fd: int32(fd)}
	c.slot = l.takeSlot(c)
}

// detach undoes attach for a connection that never came to be.
func (l *Loop) detach(c *Conn) {
	l.conns[c.slot] = nil
	l.freeSlots = append(l.freeSlots, c.slot)
	*c = Conn{}
}

// moveTo is the one place where a connection's state changes.
func (c *Conn) moveTo(next connState) {
	if next <= c.state {
		panic(fmt.Sprintf("poller: connection goes from state %d to %d", c.state, next))
	}
	c.state = next
}

// Loop returns the loop that the connection belongs to.
func (c *Conn) Loop() *Loop { return c.loop }

// Open tells whether the connection is established and not given up.
func (c *Conn) Open() bool { return c.state == stateOpen }

// PeerGone asks the kernel what [PeerGone] does, for a connection that is paused.
func (c *Conn) PeerGone() bool { return PeerGone(int(c.fd)) }

// PeerClosed tells whether the peer's FIN was read.
func (c *Conn) PeerClosed() bool { return c.peerClosed }

// Send writes p once, without waiting, and returns how many bytes the kernel
// took: 0 when its buffer is full. After an error the connection is of no use;
// the caller closes it.
func (c *Conn) Send(p []byte) (int, error) {
	return sent(send(int(c.fd), p))
}

// SendVectors is Send for several buffers in one call; those past the 64th
// non-empty one are left out.
func (c *Conn) SendVectors(buffers [][]byte) (int, error) {
	return sent(c.loop.gather.send(int(c.fd), buffers))
}

// sent makes a full buffer a short count. ENOBUFS and ENOMEM mean the same
// for the moment: the kernel has no room.
func sent(n int, err error) (int, error) {
	switch err {
	case nil:
		return n, nil
	case unix.EAGAIN, unix.EINTR, unix.ENOBUFS, unix.ENOMEM:
		return 0, nil
	}
	return 0, os.NewSyscallError("send", err)
}

// PauseReading stops the reports of received bytes: the peer is pushed back
// by TCP. A paused connection does not notice that its peer is gone, unless it
// has something to send.
func (c *Conn) PauseReading() {
	c.paused = true
	c.applyInterest()
}

// ResumeReading undoes PauseReading.
func (c *Conn) ResumeReading() {
	c.paused = false
	c.applyInterest()
}

// WantWrite turns the reports of room in the send buffer on or off.
func (c *Conn) WantWrite(want bool) {
	c.wantWrite = want
	c.applyInterest()
}

// CloseWrite sends a FIN behind what was sent. Receiving continues.
func (c *Conn) CloseWrite() {
	if c.state == stateOpen {
		shutdownWrite(int(c.fd))
	}
}

// Reset makes the following close drop unsent bytes and send an RST.
func (c *Conn) Reset() {
	_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// Close gives the connection up: it gets no more reports but Closed, at the
// end of the turn, with err. Further calls do nothing.
func (c *Conn) Close(err error) {
	if c.state >= stateClosing {
		return
	}
	c.moveTo(stateClosing)
	c.loop.closing = append(c.loop.closing, ending{c, err})
}

// Detach takes the socket out of the loop and gives it to the caller, who must close
// it. It is still non-blocking. The handler's only further report is Closed, at the end
// of the turn, with [ErrDetached]. ok is false if the connection is not open.
func (c *Conn) Detach() (fd int, ok bool) {
	if c.state != stateOpen {
		return -1, false
	}
	if c.interest != 0 {
		_ = c.loop.epoll.remove(int(c.fd))
		c.interest = 0
	}
	fd, c.fd = int(c.fd), -1
	c.Close(ErrDetached)
	return fd, true
}

// RemoteAddr asks the kernel for the peer's address; it is not kept, to save
// memory. It is the zero value once the peer is gone.
func (c *Conn) RemoteAddr() netip.AddrPort { return RemoteAddr(int(c.fd)) }

// RemoteAddr asks the kernel for the peer's address of a socket that is not
// registered. It is the zero value once the peer is gone.
func RemoteAddr(fd int) netip.AddrPort {
	name, err := unix.Getpeername(fd)
	if err != nil {
		return netip.AddrPort{}
	}
	return addrPort(name)
}

// finish closes the descriptor. It removes the descriptor from epoll first. Closing
// alone does not remove it while a copy is open elsewhere (a dup, or a child between
// fork and exec), and epoll would still report the slot.
func (c *Conn) finish(err error) {
	c.moveTo(stateClosed)
	if c.interest != 0 {
		_ = c.loop.epoll.remove(int(c.fd))
	}
	if c.fd >= 0 { // not detached
		closeSocket(int(c.fd))
	}
	c.fd = -1 // the number may be another's at once; a late Send must fail
	c.handler.Closed(err)
}

// applyInterest tells epoll what the connection wants. epoll_ctl fails only when there
// is no memory. Then the connection cannot continue.
func (c *Conn) applyInterest() {
	if c.state != stateOpen {
		return
	}
	if err := c.updateInterest(); err != nil {
		c.Close(err)
	}
}

// updateInterest registers, changes or removes the socket. One without any
// interest leaves epoll altogether, because errors and hang-ups are reported
// whether asked for or not and would make a paused loop spin.
func (c *Conn) updateInterest() error {
	var want uint32
	if !c.paused && !c.peerClosed && c.state != stateConnecting {
		want |= interestRead
	}
	if c.wantWrite || c.state == stateConnecting {
		want |= interestWrite
	}
	if want == c.interest {
		return nil
	}
	var err error
	switch {
	case c.interest == 0:
		err = c.loop.epoll.add(int(c.fd), want, c.slot)
	case want == 0:
		err = c.loop.epoll.remove(int(c.fd))
	default:
		err = c.loop.epoll.modify(int(c.fd), want, c.slot)
	}
	if err == nil {
		c.interest = want
	}
	return err
}

// ready serves one report. Room comes first, so that waiting bytes leave before new
// requests add to them; then bytes are received. A hang-up or an error is reported as
// both. The following send or receive tells what it is, after the bytes that arrived
// before it.
func (c *Conn) ready(events uint32) {
	if c.state == stateConnecting {
		c.connected()
		return
	}
	if events&(interestWrite|hangup) != 0 && c.wantWrite && c.state == stateOpen {
		c.handler.Writable()
	}
	if events&(interestRead|hangup) != 0 && c.interest&interestRead != 0 && c.state == stateOpen {
		c.read()
	}
}

// read takes one buffer of bytes. If more is left, the next wait reports it again, so
// that one busy socket cannot hold up the others.
func (c *Conn) read() {
	n, err := receive(int(c.fd), c.loop.buffer[:c.loop.readLimit])
	switch {
	case n > 0:
		c.handler.Received(c.loop.buffer[:n])
	case err == nil:
		c.peerClosed = true
		c.applyInterest()
		c.handler.PeerClosed()
	case err == unix.EAGAIN || err == unix.EINTR:
	default:
		c.Close(os.NewSyscallError("receive", err))
	}
}
