package publisher

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"
)

// run writes to one link after the other, until none is wanted.
func (p *Publisher) run(l *link) {
	defer close(p.stopped)
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval = p.cfg.MinBackoff
	pauses.MaxInterval = p.cfg.MaxBackoff
	pauses.Multiplier = 2
	pauses.Reset()
	for l != nil {
		l.write()
		if p.wasUseful(l) {
			pauses.Reset()
		}
		l = p.reconnect(pauses)
	}
}

// wasUseful reports whether an ended link worked. One that was accepted and
// dropped at once must not reset the back-off, or a gateway that does so would
// be called in a tight loop.
func (p *Publisher) wasUseful(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return l.settled > 0 || time.Since(l.opened) > p.cfg.MaxBackoff
}

// reconnect returns the next link, installed, or nil when none is wanted.
func (p *Publisher) reconnect(pauses backoff.BackOff) *link {
	for attempt := 1; ; attempt++ {
		pause := time.NewTimer(pauses.NextBackOff())
		select {
		case <-pause.C:
		case <-p.life.Done():
			pause.Stop()
			return nil
		}
		conn, err := p.cfg.connect(p.life, p.addr)
		if err == nil {
			if l := newLink(p, conn); p.install(l) {
				return l
			}
			return nil
		}
		if p.cfg.Logger != nil && p.life.Err() == nil {
			p.cfg.Logger.Warn("cannot reach the gateway", "addr", p.addr, "attempt", attempt, "error", err)
		}
	}
}

// connect connects, for no longer than DialTimeout and ctx, shows the key if there is
// one, and gives the socket to netpoll. The connecting itself is the net package's:
// netpoll's dialler knows no context and reports a refused connection as closed by the
// peer.
func (c *Config) connect(ctx context.Context, addr string) (netpoll.Connection, error) {
	dialer := net.Dialer{Timeout: c.DialTimeout, KeepAlive: keepAlive}
	socket, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to the gateway: %w", err)
	}
	defer socket.Close()
	if c.Key != nil {
		stop := context.AfterFunc(ctx, func() { socket.Close() })
		if err := c.authenticate(socket); err != nil {
			return nil, fmt.Errorf("connecting to the gateway at %s: %w", addr, errors.Join(err, context.Cause(ctx)))
		}
		if !stop() {
			return nil, fmt.Errorf("connecting to the gateway at %s: %w", addr, context.Cause(ctx))
		}
	}
	fd, err := takeSocket(socket.(*net.TCPConn), c.WriteTimeout)
	if err != nil {
		return nil, fmt.Errorf("connecting to the gateway at %s: %w", addr, err)
	}
	// On an error netpoll closes fd.
	conn, err := netpoll.NewFDConnection(fd)
	if err != nil {
		return nil, fmt.Errorf("connecting to the gateway at %s: registering with netpoll: %w", addr, err)
	}
	return conn, nil
}

// takeSocket returns a descriptor of c's socket that outlives c.
func takeSocket(c *net.TCPConn, silence time.Duration) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("taking the socket: %w", err)
	}
	var fd int
	var dupErr error
	err = raw.Control(func(own uintptr) {
		// A host that vanished acknowledges nothing. Without this the kernel would try
		// for a quarter of an hour.
		_ = unix.SetsockoptInt(int(own), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, max(1, int(silence.Milliseconds())))
		fd, dupErr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, dupErr); err != nil {
		return 0, fmt.Errorf("taking the socket: %w", err)
	}
	return fd, nil
}
