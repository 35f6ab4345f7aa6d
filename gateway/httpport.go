package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"fleetcast/codec/websocket"
)

// HTTPConnections is how many connections with a plain HTTP request are served
// or wait for it at the same time; more are answered 503. They take descriptors
// beside those of clients and publishers.
const HTTPConnections = 128

const (
	// httpServed is how many of them are served at a time.
	httpServed = 16
	// httpRate is how many are served a second, httpBurst how many more may come
	// at once. They bound what a flood of requests takes of the processors that
	// the loops need.
	httpRate  = 1000
	httpBurst = HTTPConnections
	// httpReadTimeout is for the body of a request, whose head is there already,
	// httpWriteTimeout for the whole answer.
	httpReadTimeout  = 5 * time.Second
	httpWriteTimeout = 10 * time.Second
)

var errHTTPBusy = &websocket.HandshakeError{
	Status: http.StatusServiceUnavailable, Reason: "http_busy", Message: "too many requests; try again later",
}

// httpPort serves the plain HTTP requests of the client port with net/http, away
// from the loops: these hand over the socket together with the bytes that they
// have read. Each connection carries one request. It is the listener of its
// server; handOver may be called from any goroutine.
type httpPort struct {
	server  *http.Server
	queue   chan handedOver
	open    atomic.Int64 // connections that wait or are served
	limiter *rate.Limiter
	serving chan struct{} // holds one token for each that is served
	closed  context.Context
	close   context.CancelFunc
}

// handedOver is a socket on its way to the server.
type handedOver struct {
	fd     int
	read   []byte
	client netip.AddrPort // as a trusted proxy says, or zero
}

func newHTTPPort(handler http.Handler, logger *slog.Logger) *httpPort {
	closed, cancel := context.WithCancel(context.Background())
	h := &httpPort{
		queue:   make(chan handedOver, HTTPConnections),
		limiter: rate.NewLimiter(httpRate, httpBurst),
		serving: make(chan struct{}, httpServed),
		closed:  closed,
		close:   cancel,
		server: &http.Server{
			Handler:           boundBody(httpReadTimeout, handler),
			ReadHeaderTimeout: httpReadTimeout,
			WriteTimeout:      httpWriteTimeout,
			MaxHeaderBytes:    maxMaxHead, // the loops keep to MaxHead
			// "OPTIONS *" is for the handler too.
			DisableGeneralOptionsHandler: true,
			// What clients do wrong is none of the operator's business.
			ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		},
	}
	h.server.SetKeepAlivesEnabled(false)
	return h
}

// handOver takes a socket over, and a copy of what was read from it. client is
// the address that it stands for, if that is another than its peer's. It never
// waits: ok is false if there is no room, and then the caller keeps the socket.
func (h *httpPort) handOver(detach func() (fd int, ok bool), read []byte, client netip.AddrPort) (ok bool) {
	if h.open.Add(1) > HTTPConnections {
		h.open.Add(-1)
		return false
	}
	fd, ok := detach()
	if !ok {
		h.open.Add(-1)
		return true // the client is gone
	}
	// There is room for all who are counted.
	h.queue <- handedOver{fd, append([]byte(nil), read...), client}
	return true
}

// run serves until stop.
func (h *httpPort) run() { _ = h.server.Serve(h) }

// stop cuts off whoever is served.
func (h *httpPort) stop() {
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
func (h *httpPort) Accept() (net.Conn, error) {
	for {
		select {
		case h.serving <- struct{}{}:
		case <-h.closed.Done():
			return nil, net.ErrClosed
		}
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
			h.ended() // the client is gone, or there is no descriptor
		case <-h.closed.Done():
			return nil, net.ErrClosed
		}
	}
}

// adopt makes a socket a connection of Go's runtime.
func (h *httpPort) adopt(next handedOver) (net.Conn, error) {
	file := os.NewFile(uintptr(next.fd), "client")
	conn, err := net.FileConn(file)
	err = errors.Join(err, file.Close()) // conn has a copy
	if err != nil {
		return nil, err
	}
	return &httpConn{Conn: conn, port: h, read: next.read, client: next.client}, nil
}

// ended makes room for another.
func (h *httpPort) ended() {
	h.open.Add(-1)
	<-h.serving
}

// Close implements net.Listener.
func (h *httpPort) Close() error {
	h.close()
	return nil
}

// Addr implements net.Listener.
func (h *httpPort) Addr() net.Addr { return net.TCPAddrFromAddrPort(netip.AddrPort{}) }

// httpConn is a connection whose first bytes a loop has read.
type httpConn struct {
	net.Conn
	port   *httpPort
	read   []byte // and not yet seen by the server
	client netip.AddrPort
	end    sync.Once
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

// Close implements net.Conn.
func (c *httpConn) Close() error {
	err := c.Conn.Close()
	c.end.Do(c.port.ended)
	return err
}
