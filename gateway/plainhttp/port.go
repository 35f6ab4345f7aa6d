package plainhttp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/settings"
)

// Connections is how many connections with a plain HTTP request are served
// or wait for it at the same time. One more takes the place of the one that is
// served the longest, or is answered 503 if that is not served for long yet. They
// take descriptors beside those of clients and publishers.
const Connections = 128

const (
	// httpSure is for how long a connection that is served keeps its place for sure.
	// A page takes a fraction of it; whoever takes longer neither sends nor reads, or
	// has a slow line.
	httpSure = time.Second
	// httpRate is how many are served a second, httpBurst how many more may come
	// at once. They bound what a flood of requests takes of the processors that
	// the loops need.
	httpRate  = 1000
	httpBurst = Connections
	// httpReadTimeout is for the body of a request, because its head is there already.
	// httpWriteTimeout is for the whole answer.
	httpReadTimeout  = 5 * time.Second
	httpWriteTimeout = 10 * time.Second
)

// ErrBusy is what a request gets that finds no place.
var ErrBusy = &websocket.HandshakeError{
	Status: http.StatusServiceUnavailable, Reason: "http_busy", Message: "too many requests; try again later",
}

// Port serves the plain HTTP requests of the client port with net/http, away
// from the loops: these hand over the socket together with the bytes that they
// have read. Each connection carries one request. It is the listener of its
// server; HandOver may be called from any goroutine.
type Port struct {
	server  *http.Server
	queue   chan handedOver
	limiter *rate.Limiter
	closed  context.Context
	close   context.CancelFunc

	mu     sync.Mutex
	open   int           // connections that wait or are served
	served []*httpConn   // those that are served, in the order in which that began
	sure   time.Duration // httpSure, but in tests
}

// handedOver is a socket on its way to the server.
type handedOver struct {
	fd     int
	read   []byte
	client netip.AddrPort // as a trusted proxy says, or zero
}

// NewPort makes a port whose requests the handler answers.
func NewPort(handler http.Handler, logger *slog.Logger) *Port {
	closed, cancel := context.WithCancel(context.Background())
	h := &Port{
		queue:   make(chan handedOver, Connections),
		limiter: rate.NewLimiter(httpRate, httpBurst),
		sure:    httpSure,
		closed:  closed,
		close:   cancel,
		server: &http.Server{
			Handler:           BoundBody(httpReadTimeout, handler),
			ReadHeaderTimeout: httpReadTimeout,
			WriteTimeout:      httpWriteTimeout,
			MaxHeaderBytes:    settings.MaxMaxHead, // the loops keep to MaxHead
			// "OPTIONS *" is for the handler too.
			DisableGeneralOptionsHandler: true,
			// What clients do wrong is none of the operator's business.
			ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		},
	}
	h.server.SetKeepAlivesEnabled(false)
	return h
}

// HandOver takes over a socket, and copies what was read from it. client is the address
// of the client if that is not the peer's. It never waits. If there is no room, ok is
// false, and the caller keeps the socket.
func (h *Port) HandOver(detach func() (fd int, ok bool), read []byte, client netip.AddrPort) (ok bool) {
	if !h.enter() {
		return false
	}
	fd, ok := detach()
	if !ok {
		h.leave()
		return true // the client is gone
	}
	// There is room for every connection that is counted.
	h.queue <- handedOver{fd, append([]byte(nil), read...), client}
	return true
}

// enter takes a place, that of another connection if need be.
func (h *Port) enter() (ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open < Connections {
		h.open++
		return true
	}
	if len(h.served) == 0 || time.Since(h.served[0].since) < h.sure {
		return false
	}
	_ = h.served[0].Conn.Close() // the server notices, and closes the httpConn
	h.served = slices.Delete(h.served, 0, 1)
	return true
}

// leave gives back the place of a connection that is not served.
func (h *Port) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open--
}

// KeepFor sets for how long a connection that is served keeps its place for sure. The
// default is a second.
func (h *Port) KeepFor(sure time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sure = sure
}

// Run serves until stop.
func (h *Port) Run() { _ = h.server.Serve(h) }

// Stop cuts off whoever is served.
func (h *Port) Stop() {
	_ = h.server.Close() // closes h too
	for {
		select {
		case waiting := <-h.queue:
			unix.Close(waiting.fd)
		default:
			return
		}
	}
}

// Accept implements net.Listener.
func (h *Port) Accept() (net.Conn, error) {
	for {
		select {
		case next := <-h.queue:
			if h.limiter.Wait(h.closed) != nil {
				unix.Close(next.fd)
				return nil, net.ErrClosed
			}
			conn, err := h.adopt(next)
			if err == nil {
				return conn, nil
			}
			h.leave() // the client is gone, or there is no descriptor
		case <-h.closed.Done():
			return nil, net.ErrClosed
		}
	}
}

// adopt makes a socket a connection of Go's runtime, which is served from now on.
func (h *Port) adopt(next handedOver) (net.Conn, error) {
	file := os.NewFile(uintptr(next.fd), "client")
	conn, err := net.FileConn(file)
	err = errors.Join(err, file.Close()) // conn has a copy
	if err != nil {
		return nil, err
	}
	c := &httpConn{Conn: conn, port: h, read: next.read, client: next.client, since: time.Now()}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.served = append(h.served, c)
	return c, nil
}

// ended gives back the place of a connection that was served, unless another connection
// has it already.
func (h *Port) ended(c *httpConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.served, c); i >= 0 {
		h.served = slices.Delete(h.served, i, i+1)
		h.open--
	}
}

// Close implements net.Listener.
func (h *Port) Close() error {
	h.close()
	return nil
}

// Addr implements net.Listener.
func (h *Port) Addr() net.Addr { return net.TCPAddrFromAddrPort(netip.AddrPort{}) }

// httpConn is a connection whose first bytes a loop has read.
type httpConn struct {
	net.Conn
	port   *Port
	read   []byte // and not yet seen by the server
	client netip.AddrPort
	since  time.Time // when the server got it
}

// Read implements net.Conn.
func (c *httpConn) Read(p []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(p, c.read)
		c.read = c.read[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// RemoteAddr implements net.Conn: the client's, also behind a trusted proxy.
func (c *httpConn) RemoteAddr() net.Addr {
	if c.client.IsValid() {
		return net.TCPAddrFromAddrPort(c.client)
	}
	return c.Conn.RemoteAddr()
}

func (c *httpConn) Close() error {
	err := c.Conn.Close()
	c.port.ended(c)
	return err
}
