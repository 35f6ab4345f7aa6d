package peers

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// answerTimeout bounds every wait for a server.
const answerTimeout = 10 * time.Second

// readLimit is the longest message that clients take, in bytes.
const readLimit = 1 << 20

// client is a WebSocket client of a library that checks what it is told.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

// dial connects a client, which the test's end disconnects.
func dial(t *testing.T, url string) client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerTimeout)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: anyAccept{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(readLimit)
	return client{t, conn}
}

func (c client) send(kind websocket.MessageType, message string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), answerTimeout)
	defer cancel()
	if err := c.conn.Write(ctx, kind, []byte(message)); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads the next message, which must be the text want.
func (c client) expect(want string) {
	c.t.Helper()
	if got := c.read(); got != want {
		c.t.Fatalf("got %.100q, want %.100q", got, want)
	}
}

func (c client) read() string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), answerTimeout)
	defer cancel()
	kind, message, err := c.conn.Read(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	if kind != websocket.MessageText {
		c.t.Fatalf("got a message of kind %v, want text", kind)
	}
	return string(message)
}

// anyAccept gives a handshake's answer the Sec-WebSocket-Accept that the
// request asks for: the floor answers all alike.
type anyAccept struct{}

// RoundTrip implements http.RoundTripper.
func (anyAccept) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	hash := sha1.Sum([]byte(request.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	response.Header.Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(hash[:]))
	return response, nil
}

// sendByBytes sends what a client sends, request and masked frames, a byte at a
// time, each as a segment of its own.
func sendByBytes(t *testing.T, address string, frames []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", address) // without Nagle's delay, as Go has it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	write := func(b []byte) {
		for i := range b {
			if _, err := conn.Write(b[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	write([]byte("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
	// Frames behind a request would be a client's mistake: the answer comes first.
	conn.SetReadDeadline(time.Now().Add(answerTimeout))
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	write(frames)
}
