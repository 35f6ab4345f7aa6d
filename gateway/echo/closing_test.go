package echo_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway/echo"
)

func rawClose(code ws.StatusCode) []byte {
	return masked(ws.OpClose, string(binary.BigEndian.AppendUint16(nil, uint16(code))))
}

// TestCloseIsEchoed proves RFC 6455, 5.5.1 and 7.1.1.
func TestCloseIsEchoed(t *testing.T) {
	server := serve(t, echo.Config{})
	tests := []struct {
		name  string
		frame []byte
		code  ws.StatusCode
	}{
		{"empty", masked(ws.OpClose, ""), ws.StatusNoStatusRcvd},
		{"1000", rawClose(1000), 1000},
		{"1001 with reason", closing(1001, "leaving"), 1001},
		{"longest reason", closing(1000, strings.Repeat("r", 123)), 1000},
		{"1013", rawClose(1013), 1013},
		{"3000", rawClose(3000), 3000},
		{"4999", rawClose(4999), 4999},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := connect(t, server)
			c.send(test.frame)
			c.expectClose(test.code)
			c.expectEnd()
		})
	}
}

// TestViolations proves RFC 6455, 7.1.7.
func TestViolations(t *testing.T) {
	server := serve(t, echo.Config{})
	tests := []struct {
		name  string
		frame []byte
		code  ws.StatusCode
	}{
		{"reserved bit", []byte{0xc1, 0x80, 0, 0, 0, 0}, 1002},
		{"reserved data opcode", []byte{0x83, 0x80, 0, 0, 0, 0}, 1002},
		{"reserved control opcode", []byte{0x8b, 0x80, 0, 0, 0, 0}, 1002},
		{"unmasked", []byte{0x81, 0x01, 'a'}, 1002},
		{"long ping", []byte{0x89, 0xfe, 0, 126, 0, 0, 0, 0}, 1002},
		{"fragmented ping", fragment(ws.OpPing, false, "p"), 1002},
		{"continuation of nothing", fragment(ws.OpContinuation, true, "c"), 1002},
		{"text inside a text", join(fragment(ws.OpText, false, "a"), fragment(ws.OpText, true, "b")), 1002},
		{"length not minimal", []byte{0x82, 0xfe, 0, 125, 0, 0, 0, 0}, 1002},
		{"length with the high bit", []byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0}, 1002},
		{"close body of one byte", masked(ws.OpClose, "\x03"), 1002},
		{"close 1005", rawClose(1005), 1002},
		{"close 999", rawClose(999), 1002},
		{"close 5000", rawClose(5000), 1002},
		{"close reason not UTF-8", masked(ws.OpClose, "\x03\xe8\xff"), 1007},
		{"text not UTF-8", masked(ws.OpText, "\xff"), 1007},
		{"text not UTF-8, seen early", fragment(ws.OpText, false, "\xed\xa0"), 1007},
		{"text ends inside a character", masked(ws.OpText, "\xc3"), 1007},
		{"over 16 MiB", []byte{0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0}, 1009},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := connect(t, server)
			c.send(join(masked(ws.OpText, "before"), test.frame, masked(ws.OpText, "after")))
			c.expect(ws.OpText, []byte("before"))
			c.expectClose(test.code)
			c.expectEnd()
		})
	}
}

// A close with unread bytes in the server's socket would be a reset, and the
// close frame lost (RFC 6455, 7.1.1).
func TestCloseFrameSurvivesAFlood(t *testing.T) {
	c := connect(t, serve(t, echo.Config{}))
	c.send(rawClose(1000))
	flood := make([]byte, 1<<20)
	for range 8 {
		c.send(flood)
	}
	c.expectClose(1000)
	c.expectEnd()
}

// TestPeerThatDoesNotHangUp proves RFC 6455, 7.1.1.
func TestPeerThatDoesNotHangUp(t *testing.T) {
	t.Parallel()
	c := connect(t, serveImpatiently(t, echo.Config{}, echo.HandshakeTimeout, shortTime))
	start := time.Now()
	c.send(rawClose(1000))
	c.expectClose(1000)
	c.expectEnd()
	c.expectGone()
	if waited := time.Since(start); waited < shortTime {
		t.Errorf("cut off after %v, before its time", waited)
	}
}

func TestPeerThatHangsUpIsLetGoAtOnce(t *testing.T) {
	server := serve(t, echo.Config{})
	c := connect(t, server)
	c.send(rawClose(1000))
	c.expectClose(1000)
	c.CloseWrite()
	c.expectEnd()
	if err := <-shutdown(server, time.Second); err != nil {
		t.Error(err)
	}
}

func TestHalfClosedClientGetsItsEchoes(t *testing.T) {
	server := serve(t, echo.Config{})
	for _, size := range []int{10, 8 << 20} {
		c := connect(t, server)
		payload := bytes.Repeat([]byte("x"), size)
		c.send(join(masked(ws.OpBinary, string(payload)), masked(ws.OpText, "last"), fragment(ws.OpText, false, "never ended")))
		c.CloseWrite()
		c.expect(ws.OpBinary, payload)
		c.expect(ws.OpText, []byte("last"))
		c.expectEnd()
	}
}

func TestResetClientsLeaveNothingBehind(t *testing.T) {
	server := serve(t, echo.Config{})
	for i := range 200 {
		c := connect(t, server)
		c.send(fragment(ws.OpText, false, strings.Repeat("half", i)))
		_ = c.SetLinger(0)
		c.Close()
	}
	// A session that was left would hold the shutdown up until it timed out.
	if err := <-shutdown(server, echo.CloseTimeout/2); err != nil {
		t.Error(err)
	}
}

// What a stalled client had sent is thrown away, so that its FIN is seen.
func TestShutdownOfAStalledClient(t *testing.T) {
	server := serve(t, echo.Config{})
	c := connect(t, server)
	payload := make([]byte, 16<<20)
	c.send(masked(ws.OpBinary, string(payload)))
	if _, err := c.in.Peek(1); err != nil { // the echo is under way
		t.Fatal(err)
	}
	c.send(masked(ws.OpText, "comes too late"))
	result := shutdown(server, echo.CloseTimeout-200*time.Millisecond)
	time.Sleep(50 * time.Millisecond) // so that it comes before the client reads on
	c.expect(ws.OpBinary, payload)
	c.expectClose(ws.StatusGoingAway)
	c.expectEnd()
	c.Close()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestShutdownResetsAStuckPeer(t *testing.T) {
	t.Parallel()
	server := serveImpatiently(t, echo.Config{}, echo.HandshakeTimeout, shortTime)
	c := connect(t, server)
	_ = c.SetReadBuffer(16 << 10)
	c.send(masked(ws.OpBinary, string(make([]byte, 16<<20))))
	if _, err := c.in.Peek(1); err != nil { // the echo is under way
		t.Fatal(err)
	}
	if err := <-shutdown(server, time.Minute); err != nil {
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, c.in); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error %v, want a reset", err)
	}
}

// TestShutdown proves RFC 6455, 7.1.2.
func TestShutdown(t *testing.T) {
	server := serve(t, echo.Config{Loops: 2})
	var clients []*rawClient
	for range 10 {
		clients = append(clients, connect(t, server))
	}
	clients[0].send(fragment(ws.OpText, false, "half a message"))
	early := dial(t, server)
	early.send([]byte("GET / HTTP/1.1\r\n"))
	time.Sleep(50 * time.Millisecond)

	result := shutdown(server, time.Minute)
	for _, c := range clients {
		c.expectClose(ws.StatusGoingAway)
		c.send(rawClose(1001))
		c.expectEnd()
		c.Close()
	}
	if r := early.response(); r.StatusCode != 503 {
		t.Errorf("status %s, want 503", r.Status)
	}
	early.Close()
	if err := <-result; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	server.Run() // returns at once
	if again, err := echo.New(echo.Config{Listen: server.Addrs(), Loops: 1}); err != nil {
		t.Errorf("the port is still in use: %v", err)
	} else {
		again.Close()
	}
}

func TestShutdownIsBounded(t *testing.T) {
	server := serve(t, echo.Config{})
	c := connect(t, server) // never answers
	if err := <-shutdown(server, echo.CloseTimeout/4); !isDeadline(err) {
		t.Errorf("error %v, want that of the context", err)
	}
	c.expectClose(ws.StatusGoingAway)
	if _, err := c.in.ReadByte(); err == nil || isTimeout(err) {
		t.Errorf("error %v, want the end", err)
	}
}

func TestShutdownWithoutRun(t *testing.T) {
	server, err := echo.New(echo.Config{Listen: []addrPort{loopback}})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-shutdown(server, time.Second); err != nil {
		t.Error(err)
	}
	server.Close()
	server.Run()
}

// A client that sends and does not read is pushed back; once it reads, it gets
// everything. Both kernels' buffers are in what is accepted from it: Linux lets a receive
// buffer grow to net.ipv4.tcp_rmem, which is 32 MiB on large machines.
func TestStalledReaderIsPushedBack(t *testing.T) {
	t.Parallel()
	const size, accepted = 64 << 10, 64 << 20
	c := connect(t, serve(t, echo.Config{}))
	_ = c.SetReadBuffer(32 << 10)
	message := make([]byte, size)
	sent := 0
	var rest []byte
	for ; rest == nil; sent++ {
		if sent*size > accepted {
			t.Fatalf("%d bytes were taken from a client that does not read", sent*size)
		}
		binary.BigEndian.PutUint32(message, uint32(sent))
		frame := masked(ws.OpBinary, string(message))
		_ = c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		if n, err := c.Write(frame); isTimeout(err) {
			rest = frame[n:]
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("pushed back after %d KiB", sent*size>>10)
	_ = c.SetWriteDeadline(time.Now().Add(time.Minute))
	go func() { _, _ = c.Write(rest) }()
	for i := range sent {
		binary.BigEndian.PutUint32(message, uint32(i))
		c.expect(ws.OpBinary, message)
	}
}
