package echo_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/echo"
)

// shortTime replaces a time limit that a test waits for.
const shortTime = 300 * time.Millisecond

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

type addrPort = netip.AddrPort

// serve runs a server on loopback until the test ends.
func serve(tb testing.TB, config echo.Config) *echo.Server {
	return serveImpatiently(tb, config, echo.HandshakeTimeout, echo.CloseTimeout)
}

// serveImpatiently is serve with other time limits.
func serveImpatiently(tb testing.TB, config echo.Config, handshake, close time.Duration) *echo.Server {
	tb.Helper()
	config.Listen = []netip.AddrPort{loopback}
	if config.Loops == 0 {
		config.Loops = 1
	}
	server, err := echo.NewImpatient(config, handshake, close)
	if err != nil {
		tb.Fatal(err)
	}
	go server.Run()
	tb.Cleanup(server.Close)
	return server
}

func address(server *echo.Server) string { return server.Addrs()[0].String() }

// rawClient speaks bytes. What it receives is parsed by gobwas/ws, which the
// server does not use for it.
type rawClient struct {
	testing.TB
	*net.TCPConn
	in *bufio.Reader
}

// dial connects without a handshake.
func dial(tb testing.TB, server *echo.Server) *rawClient {
	tb.Helper()
	conn, err := net.Dial("tcp", address(server))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return &rawClient{tb, conn.(*net.TCPConn), bufio.NewReader(conn)}
}

// connect also shakes hands.
func connect(tb testing.TB, server *echo.Server) *rawClient {
	tb.Helper()
	c := dial(tb, server)
	c.send(request("/"))
	c.upgraded()
	return c
}

var key = websocket.NewKey()

func request(path string) []byte {
	request := websocket.Request{Host: "localhost", Path: path}
	return request.Append(nil, key)
}

func (c *rawClient) send(p []byte) {
	c.Helper()
	if _, err := c.Write(p); err != nil {
		c.Fatal(err)
	}
}

// response reads an HTTP response.
func (c *rawClient) response() *http.Response {
	c.Helper()
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.Fatal(err)
	}
	return r
}

func (c *rawClient) upgraded() {
	c.Helper()
	if r := c.response(); r.StatusCode != http.StatusSwitchingProtocols {
		c.Fatalf("status %s", r.Status)
	}
}

// frame reads one frame.
func (c *rawClient) frame() (h ws.Header, payload []byte, err error) {
	if h, err = ws.ReadHeader(c.in); err != nil {
		return h, nil, err
	}
	if h.Length > echo.DefaultMaxMessage {
		return h, nil, fmt.Errorf("the server sends a frame of %d bytes", h.Length)
	}
	payload = make([]byte, h.Length)
	_, err = io.ReadFull(c.in, payload)
	return h, payload, err
}

// expect reads one frame, which must be this one.
func (c *rawClient) expect(op ws.OpCode, payload []byte) {
	c.Helper()
	h, got, err := c.frame()
	if err != nil {
		c.Fatalf("read frame: %v", err)
	}
	if !h.Fin || h.Masked || h.Rsv != 0 || h.OpCode != op {
		c.Fatalf("header %+v, want a whole frame with opcode %d", h, op)
	}
	if !bytes.Equal(got, payload) {
		c.Fatalf("payload of %d bytes %.60q, want %d bytes %.60q", len(got), got, len(payload), payload)
	}
}

// expectClose reads a close frame with code, or without one if it is 1005.
func (c *rawClient) expectClose(code ws.StatusCode) {
	c.Helper()
	h, payload, err := c.frame()
	if err != nil {
		c.Fatalf("read frame: %v", err)
	}
	got := ws.StatusNoStatusRcvd
	if len(payload) > 0 {
		got, _ = ws.ParseCloseFrameData(payload)
	}
	if h.OpCode != ws.OpClose || got != code {
		c.Fatalf("opcode %d, code %d; want a close frame with %d", h.OpCode, got, code)
	}
}

// expectEnd waits for the server's FIN, and for nothing before it.
func (c *rawClient) expectEnd() {
	c.Helper()
	if b, err := c.in.ReadByte(); err != io.EOF {
		c.Fatalf("got byte %#x, error %v; want the end", b, err)
	}
}

// expectGone writes until the server's socket is closed, not only shut down.
func (c *rawClient) expectGone() {
	c.Helper()
	for range 200 {
		if _, err := c.Write([]byte{0}); err != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.Fatal("the server still reads")
}

func masked(op ws.OpCode, payload string) []byte {
	return fragment(op, true, payload)
}

func fragment(op ws.OpCode, fin bool, payload string) []byte {
	return websocket.AppendMaskedFragment(nil, op, fin, []byte(payload), ws.NewMask())
}

func closing(code ws.StatusCode, reason string) []byte {
	return websocket.AppendMaskedClose(nil, code, reason, ws.NewMask())
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// shutdown stops the server in the background and returns its answer.
func shutdown(server *echo.Server, limit time.Duration) <-chan error {
	result := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		result <- server.Shutdown(ctx)
	}()
	return result
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func isDeadline(err error) bool { return errors.Is(err, context.DeadlineExceeded) }
