package poller

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// DialHandler is the handler of a connection that the loop opens itself.
type DialHandler interface {
	Handler
	// Connected reports that the connection is established. One that fails
	// gets Closed instead.
	Connected()
}

// Dial starts to connect to addr, from source if it is valid (port 0 lets the kernel
// choose), without waiting. The handler's Connected or Closed is called with the
// outcome. On an error nothing was started and the handler is not called. The error is
// [ErrLoopStopped] if the loop is closed.
func (l *Loop) Dial(c *Conn, addr, source netip.AddrPort, handler DialHandler) error {
	if l.closed {
		return fmt.Errorf("dial %s: %w", addr, ErrLoopStopped)
	}
	fd, err := dialSocket(addr, source)
	if err != nil {
		return fmt.Errorf("dial %s: %w", addr, err)
	}
	l.attach(c, fd, handler)
	c.moveTo(stateConnecting)
	if err := c.updateInterest(); err != nil {
		l.detach(c)
		unix.Close(fd)
		return fmt.Errorf("dial %s: %w", addr, err)
	}
	return nil
}

func dialSocket(addr, source netip.AddrPort) (int, error) {
	family := unix.AF_INET
	if !addr.Addr().Is4() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := startConnect(fd, addr, source); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func startConnect(fd int, addr, source netip.AddrPort) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if source.IsValid() {
		// The port is chosen at connect time, per destination, so that one
		// source address is not limited to its ephemeral ports for all.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, sockaddr(source)); err != nil {
			return os.NewSyscallError("bind", err)
		}
	}
	if err := unix.Connect(fd, sockaddr(addr)); err != nil && err != unix.EINPROGRESS {
		return os.NewSyscallError("connect", err)
	}
	return nil
}

// connected ends a dial one way or the other.
func (c *Conn) connected() {
	code, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err != nil {
		c.Close(os.NewSyscallError("connect", err))
		return
	}
	c.moveTo(stateOpen)
	c.applyInterest()
	c.handler.(DialHandler).Connected()
}
