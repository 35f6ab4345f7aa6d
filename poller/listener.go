package poller

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// listenBacklog is the accept queue asked for; the kernel caps it at
	// net.core.somaxconn.
	listenBacklog = 4096
	// acceptsPerTurn bounds how long a storm of new clients can hold up the
	// connected ones: some 2 ms if all are admitted, 1.5 ms if all are turned away.
	acceptsPerTurn = 64
	// acceptRest is how long a listener rests when the kernel has no
	// descriptor or memory for another socket.
	acceptRest = 500 * time.Millisecond
)

// Of sockets with KeepAlive: seconds of silence before the first probe, seconds
// between probes, and how many may stay unanswered.
const (
	keepAliveIdle     = 60
	keepAliveInterval = 15
	keepAliveProbes   = 4
)

type listenerState uint8

const (
	listenerIdle      listenerState = iota // not in a loop yet
	listenerAccepting                      // in epoll
	listenerResting                        // out of epoll until its time comes
	listenerClosed
)

// Listener is one listening socket. Several may share an address, one for
// each loop; the kernel then spreads new connections over them.
type Listener struct {
	fd    int
	addr  netip.AddrPort
	loop  *Loop
	token int32
	state listenerState
	// inherited sockets are someone else's too, who hands them to the next
	// process: what waits there is not lost when this one closes its copy.
	inherited bool
	wake      time.Duration // when a rest ends
	burst     bool          // failures since the last accepted socket were reported
}

// ListenConfig is how listening sockets are set up. The sockets that they
// accept inherit all of it, and TCP_NODELAY, which saves calls for each. The
// zero value sets nothing else.
type ListenConfig struct {
	// UnsentLowWater is how many unsent bytes a socket holds before it takes
	// no more (TCP_NOTSENT_LOWAT); 0 means as many as its send buffer.
	UnsentLowWater int
	// KeepAlive makes the kernel detect peers that vanish, within some two minutes of
	// silence (SO_KEEPALIVE).
	KeepAlive bool
	// SendBuffer is how many bytes the kernel keeps of what a socket sends (SO_SNDBUF),
	// including bytes that were sent and are not acknowledged. The kernel caps it at
	// net.core.wmem_max. With 0 the kernel chooses the size and lets it grow.
	SendBuffer int
	// SendTimeout is how long a peer may leave what was sent unacknowledged, or keep
	// its window shut while something waits (TCP_USER_TIMEOUT, to the millisecond). The
	// socket then fails with [unix.ETIMEDOUT]. With 0, and on inherited sockets of
	// Multipath TCP, which do not have the option, the kernel waits for many minutes.
	SendTimeout time.Duration
}

// Listen opens count sockets as the zero ListenConfig does.
func Listen(addr netip.AddrPort, count int) ([]*Listener, error) {
	return ListenConfig{}.Listen(addr, count)
}

// Listen opens count sockets that share addr (SO_REUSEPORT). The first is bound
// without sharing, so that a port which another process listens on is noticed,
// even by a process of the same user that shares its ports too; it shares only
// once it listens, so that of two processes that start at the same time one
// fails. Port 0 is resolved once. On an error nothing stays open; a port in use
// gives an error that is [unix.EADDRINUSE].
func (c ListenConfig) Listen(addr netip.AddrPort, count int) ([]*Listener, error) {
	var listeners []*Listener
	for i := range count {
		l, err := c.listen(addr, i == 0)
		if err != nil {
			CloseListeners(listeners)
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
		addr = l.addr
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// Inherit makes count listeners of a listening TCP socket that another process has
// opened and passed on, as systemd does. They share one queue of connections. The loop
// that comes first takes the next connection. The caller still owns file and may close
// it. On an error nothing stays open.
func (c ListenConfig) Inherit(file *os.File, count int) ([]*Listener, error) {
	var listeners []*Listener
	for range count {
		l, err := c.inherit(file)
		if err != nil {
			CloseListeners(listeners)
			return nil, fmt.Errorf("listen on the inherited socket %s: %w", file.Name(), err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func (c ListenConfig) inherit(file *os.File) (*Listener, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	l := &Listener{inherited: true}
	var dupErr error
	if err := raw.Control(func(fd uintptr) {
		l.fd, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil || dupErr != nil {
		return nil, errors.Join(err, os.NewSyscallError("dup", dupErr))
	}
	err = errors.Join(os.NewSyscallError("fcntl", unix.SetNonblock(l.fd, true)), l.set(c))
	if err == nil {
		err = l.resolve()
	}
	if err != nil {
		unix.Close(l.fd)
		return nil, err
	}
	return l, nil
}

// CloseListeners closes listeners that were not given to a loop.
func CloseListeners(listeners []*Listener) {
	for _, l := range listeners {
		l.close()
	}
}

func (c ListenConfig) listen(addr netip.AddrPort, probe bool) (*Listener, error) {
	family := unix.AF_INET
	if !addr.Addr().Is4() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	l := &Listener{fd: fd}
	if err := l.bind(c, addr, probe); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return l, nil
}

// option sets an option of the socket that is a number.
func (l *Listener) option(level, option, value int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(l.fd, level, option, value))
}

// set applies config.
func (l *Listener) set(config ListenConfig) error {
	err := l.option(unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if config.UnsentLowWater > 0 {
		err = errors.Join(err, l.option(unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, config.UnsentLowWater))
	}
	if config.SendBuffer > 0 {
		err = errors.Join(err, l.option(unix.SOL_SOCKET, unix.SO_SNDBUF, config.SendBuffer))
	}
	if config.SendTimeout > 0 {
		timeoutErr := l.option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(config.SendTimeout.Milliseconds()))
		if !errors.Is(timeoutErr, unix.ENOPROTOOPT) && !errors.Is(timeoutErr, unix.EOPNOTSUPP) {
			err = errors.Join(err, timeoutErr)
		}
	}
	if config.KeepAlive {
		err = errors.Join(err,
			l.option(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
			l.option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveIdle),
			l.option(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepAliveInterval),
			l.option(unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveProbes))
	}
	return err
}

// resolve learns the address that the socket is bound to.
func (l *Listener) resolve() error {
	name, err := unix.Getsockname(l.fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	l.addr = addrPort(name)
	return nil
}

func (l *Listener) bind(config ListenConfig, addr netip.AddrPort, probe bool) error {
	err := l.option(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if !probe {
		err = errors.Join(err, l.option(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	}
	if err = errors.Join(err, l.set(config)); err != nil {
		return err
	}
	if err := unix.Bind(l.fd, sockaddr(addr)); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(l.fd, listenBacklog); err != nil {
		return os.NewSyscallError("listen", err)
	}
	if probe {
		// Alone up to here, also in listen, which checks the port again: two
		// sockets with SO_REUSEADDR may be bound to one port while neither
		// listens. From here on the sockets of our other loops may join.
		if err := l.option(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return err
		}
	}
	return l.resolve()
}

// Addr is the address that the socket is bound to.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// AddListener gives a listener to the loop, which accepts from it and closes
// it in the end. On an error, [ErrLoopStopped] if the loop is closed, the
// caller still owns the listener.
func (l *Loop) AddListener(listener *Listener) error {
	if l.closed {
		return fmt.Errorf("watch listener %s: %w", listener.addr, ErrLoopStopped)
	}
	listener.loop = l
	listener.token = firstListenerToken - int32(len(l.listeners))
	if err := listener.watch(); err != nil {
		return fmt.Errorf("watch listener %s: %w", listener.addr, err)
	}
	l.listeners = append(l.listeners, listener)
	return nil
}

// CloseListeners stops accepting. Clients that the kernel has already connected are
// still taken. Then the listening sockets close. Clients of an inherited socket wait
// for the process that serves it next.
func (l *Loop) CloseListeners() {
	for _, listener := range l.listeners {
		if listener.state == listenerClosed {
			continue
		}
		// The bound covers all that is queued now; those who keep coming
		// cannot hold the end up.
		for i := 0; i <= listenBacklog && !listener.inherited; i++ {
			fd, err := accept(listener.fd)
			if err == nil {
				l.owner.Accepted(listener, fd)
			} else if !passing(err) {
				break
			}
		}
		listener.close()
	}
}

func (l *Listener) watch() error {
	if err := l.loop.epoll.add(l.fd, interestRead, l.token); err != nil {
		return err
	}
	l.state = listenerAccepting
	return nil
}

// ready accepts what waits, up to a bound.
func (l *Listener) ready() {
	for range acceptsPerTurn {
		if l.state != listenerAccepting {
			return
		}
		fd, err := accept(l.fd)
		switch {
		case err == nil:
			l.burst = false
			l.loop.owner.Accepted(l, fd)
		case err == unix.EAGAIN:
			return
		case passing(err):
		default:
			l.rest(os.NewSyscallError("accept", err))
			return
		}
	}
}

// passing tells of errors that concern only the connection that was being
// accepted (see accept(2) on network errors). Any other may come again at
// once.
func passing(err error) bool {
	switch err {
	case unix.ECONNABORTED, unix.ECONNRESET, unix.EINTR, unix.EPROTO, unix.ETIMEDOUT,
		unix.ENETDOWN, unix.ENETUNREACH, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.ENONET,
		unix.ENOPROTOOPT, unix.EOPNOTSUPP:
		return true
	}
	return false
}

// rest takes the listener out of epoll, because a full descriptor table would
// otherwise be reported again and again at once.
func (l *Listener) rest(err error) {
	if removeErr := l.loop.epoll.remove(l.fd); removeErr != nil {
		err = errors.Join(err, removeErr)
	}
	l.state = listenerResting
	l.wake = l.loop.now + acceptRest
	if !l.burst {
		l.burst = true
		l.loop.owner.AcceptFailed(l, err)
	}
}

func (l *Listener) tick() {
	if l.state != listenerResting || l.loop.now < l.wake {
		return
	}
	if err := l.watch(); err != nil {
		l.wake = l.loop.now + acceptRest
	}
}

func (l *Listener) close() {
	if l.state != listenerClosed {
		if l.state == listenerAccepting {
			// See Conn.finish: a copy of the descriptor may live elsewhere.
			_ = l.loop.epoll.remove(l.fd)
		}
		l.state = listenerClosed
		unix.Close(l.fd)
	}
}

func sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	if zone := addr.Addr().Zone(); zone != "" {
		if itf, err := net.InterfaceByName(zone); err == nil {
			sa.ZoneId = uint32(itf.Index)
		}
	}
	return sa
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
