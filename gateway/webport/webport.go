// Package webport serves HTTP on a port that anybody may connect to. No connection can
// keep another one out.
//
// A port has room for a fixed number of connections. When all are taken, a new connection
// closes the one that matters least: first one whose last request is answered, then one
// whose second or later request is under way, then one without a complete request, and
// last one whose first request is under way. So the first request of a new connection is
// served, whatever the others do.
//
// The handler must bound how many requests are computed at a time, and how often. While
// one waits, later requests of its connection wait too.
//
// Any goroutine may call the methods of a [Port].
package webport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Connections is how many connections a [Port] keeps at a time. Each takes a
// descriptor and, with its head and buffers, at most about 150 KiB.
const Connections = 128

const (
	// newGrace is how long a new connection may take to send its request, counted from
	// its first read, before it may be closed for another one. A request usually comes
	// with the connection.
	newGrace = 50 * time.Millisecond
	// firstGrace is how long the first request may be under way before that.
	firstGrace = time.Second
	// headTimeout is for the head of a request, idleTimeout for the next one.
	headTimeout = 5 * time.Second
	idleTimeout = time.Minute
	// closePatience is how long Close waits for requests that are under way.
	closePatience = 500 * time.Millisecond
	// maxHead is how long a head may be, in bytes.
	maxHead = 64 << 10
	// acceptRate is how many connections are accepted a second, acceptBurst how many
	// more may come at once. A connection costs more than a request.
	acceptRate  = 1000
	acceptBurst = 2 * Connections
)

// Port is an HTTP server whose connections give way to new ones. Any goroutine
// may call its methods.
type Port struct {
	server *http.Server
	closed context.Context
	close  context.CancelFunc
	freed  chan struct{} // tells a connection that waits for room that there is some

	rate    *rate.Limiter
	refused func(reason, from string)

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// New returns a port that handler serves. refused is called for each connection
// that is refused before handler gets a request, with one of the Reason constants
// and the peer's address, by any goroutine. What else is wrong with connections is
// logged as warnings.
func New(handler http.Handler, logger *slog.Logger, refused func(reason, from string)) *Port {
	p := &Port{
		rate: rate.NewLimiter(acceptRate, acceptBurst), refused: refused,
		freed: make(chan struct{}, 1), conns: make(map[*conn]struct{}),
	}
	p.closed, p.close = context.WithCancel(context.Background())
	p.server = &http.Server{
		Handler:           tracking(handler),
		ReadHeaderTimeout: headTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHead,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		// "OPTIONS *" would be answered without the handler's checks.
		DisableGeneralOptionsHandler: true,
	}
	return p
}

// Serve accepts from l until Close. It may be called for several listeners, which
// share the connections. The error is nil after Close.
func (p *Port) Serve(l net.Listener) error {
	err := p.server.Serve(&gate{l, p})
	if errors.Is(err, http.ErrServerClosed) || p.closed.Err() != nil { // the gate may see it first
		return nil
	}
	return err
}

// Close closes the listeners and all connections. Requests that are under way have half a
// second to be answered.
func (p *Port) Close() error {
	p.close()
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	if p.server.Shutdown(ctx) == nil {
		return nil
	}
	return p.server.Close()
}

// stage is what a connection is doing: fresh, first, then to and fro between
// served and later.
type stage uint8

// The stages in the order in which connections are closed for new ones.
const (
	served stage = iota // its last request is answered
	later               // another request than its first is under way
	fresh               // it has not sent a whole head yet
	first               // its first request is under way
)

// grace is how long a connection is safe in a stage.
func (s stage) grace() time.Duration {
	switch s {
	case fresh:
		return newGrace
	case first:
		return firstGrace
	}
	return 0
}

type connKey struct{}

// tracking tells the connection of each request when the request is served.
func tracking(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*conn); ok {
			c.begin()
			defer c.end()
		}
		next.ServeHTTP(w, r)
	})
}

// gate is a listener that makes room for what it accepts.
type gate struct {
	net.Listener
	port *Port
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	if g.port.rate.Wait(g.port.closed) != nil {
		return nil, net.ErrClosed
	}
	accepted, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: accepted, port: g.port, stage: fresh}
	for {
		wait := g.port.add(c)
		if wait == 0 {
			return c, nil
		}
		select {
		case <-time.After(wait):
		case <-g.port.freed:
		case <-g.port.closed.Done():
			return nil, errors.Join(net.ErrClosed, accepted.Close())
		}
	}
}

// add takes c in, in the place of another if need be. If all others are safe
// yet, it returns how long that lasts.
func (p *Port) add(c *conn) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if len(p.conns) >= Connections {
		victim, safe := p.least(now)
		if safe > 0 {
			return safe
		}
		delete(p.conns, victim)
		_ = victim.Conn.Close() // the reset tells its peer
	}
	p.conns[c] = struct{}{}
	return 0
}

// least returns the connection to close first, or how long it takes until one may be
// closed.
func (p *Port) least(now time.Time) (victim *conn, safe time.Duration) {
	safe = firstGrace
	for c := range p.conns {
		if left := c.safe(now); left > 0 {
			safe = min(safe, left)
			continue
		}
		if victim == nil || c.stage < victim.stage || c.stage == victim.stage && c.since.Before(victim.since) {
			victim = c
		}
	}
	if victim != nil {
		safe = 0
	}
	return victim, safe
}

// remove forgets a connection that was closed.
func (p *Port) remove(c *conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	select {
	case p.freed <- struct{}{}:
	default:
	}
}
