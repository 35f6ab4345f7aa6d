package echo_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway/echo"
)

// TestUnfinishedMessages has clients that never complete a message, whatever else
// they send: each is closed in time, while those that are slow or idle are not.
func TestUnfinishedMessages(t *testing.T) {
	t.Parallel() // it waits most of the time
	server := serve(t, echo.Config{MessageTimeout: shortTime, Loops: 2})
	text := string(masked(ws.OpText, "whole"))
	for name, sent := range map[string]string{
		"half a header":          text[:1],
		"half a payload":         text[:8],
		"a fragment":             string(fragment(ws.OpText, false, "x")),
		"an empty fragment":      string(fragment(ws.OpText, false, "")),
		"a fragment, and pongs":  string(fragment(ws.OpText, false, "x")) + string(masked(ws.OpPong, "")),
		"behind a whole message": text + text[:8],
		"half a ping":            string(masked(ws.OpPing, "ping"))[:4],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, server)
			began := time.Now()
			c.send([]byte(sent))
			if strings.HasPrefix(sent, text) {
				c.expect(ws.OpText, []byte("whole"))
			}
			c.expectClose(ws.StatusPolicyViolation)
			if took := time.Since(began); took < shortTime {
				t.Errorf("closed after %v", took)
			}
		})
	}
	t.Run("messages that follow each other", func(t *testing.T) {
		t.Parallel()
		const timeout = 3 * time.Second // more than a busy machine takes for one of them
		c := connect(t, serve(t, echo.Config{MessageTimeout: timeout}))
		c.send([]byte(text[:8]))
		for began := time.Now(); time.Since(began) < timeout*3/2; {
			time.Sleep(timeout / 50)            // there are to be some, not many
			c.send([]byte(text[8:] + text[:8])) // there is always half a message
			c.expect(ws.OpText, []byte("whole"))
		}
	})
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		c := connect(t, server)
		time.Sleep(2 * shortTime) // nothing is to happen
		c.send([]byte(text))
		c.expect(ws.OpText, []byte("whole"))
	})
}

// TestUnfinishedMessagesAreBounded has clients hold more with half messages than all
// may: some are closed, the rest stays, and what is whole is echoed.
func TestUnfinishedMessagesAreBounded(t *testing.T) {
	const limit, clients, size = 2 << 20, 100, 60 << 10
	server := serve(t, echo.Config{InputMemory: limit, Loops: 2})
	half := masked(ws.OpBinary, strings.Repeat("x", size))
	half = half[:len(half)-1]
	ends := make(chan ws.StatusCode, clients)
	for range clients {
		c := connect(t, server)
		c.send(half)
		go func() {
			header, err := ws.ReadHeader(c.in)
			if err != nil || header.OpCode != ws.OpClose {
				return // the test has ended
			}
			payload := make([]byte, header.Length)
			if _, err := io.ReadFull(c.in, payload); err != nil {
				return
			}
			code, _ := ws.ParseCloseFrameData(payload)
			ends <- code
			_, _ = io.Copy(io.Discard, c.in)
		}()
	}
	// Those that stay hold size each at least.
	for n := range clients - limit/size {
		select {
		case code := <-ends:
			if code != 1013 {
				t.Fatalf("closed with %d", code)
			}
		case <-time.After(patience):
			t.Fatalf("%d clients were closed", n)
		}
	}
	held := server.InputBytes()
	for until := time.Now().Add(patience); held > limit && time.Now().Before(until); held = server.InputBytes() {
		time.Sleep(time.Millisecond) // the last one may be about to be closed
	}
	if held > limit || held < limit/2 {
		t.Errorf("%d bytes are held", held)
	}
	whole := strings.Repeat("y", size)
	c := connect(t, server)
	c.send(masked(ws.OpBinary, whole))
	c.expect(ws.OpBinary, []byte(whole))
}

// TestInputIsCounted: what is held of clients is counted while they are there, and
// no longer.
func TestInputIsCounted(t *testing.T) {
	server := serve(t, echo.Config{})
	counts := func(what string, right func(int64) bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !right(server.InputBytes()); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d bytes are counted", what, server.InputBytes())
			}
		}
	}
	none := func(n int64) bool { return n == 0 }
	half := masked(ws.OpBinary, strings.Repeat("x", 10_000))
	for name, end := range map[string]func(*rawClient){
		"completed": func(c *rawClient) { c.send(half[9_000:]) },
		"closed":    func(c *rawClient) { _ = c.CloseWrite() },
		"reset":     func(c *rawClient) { _ = c.SetLinger(0); _ = c.Close() },
		"violated":  func(c *rawClient) { c.send(half[9_000:]); c.send(bytes.Repeat([]byte{0xff}, 14)) },
	} {
		c := connect(t, server)
		c.send(half[:9_000])
		counts(name, func(n int64) bool { return n >= 9_000 })
		end(c)
		counts(name, none)
	}
	c := dial(t, server)
	c.send(request("/")[:20])
	counts("half a handshake", func(n int64) bool { return n >= 20 })
	c.Close()
	counts("half a handshake", none)
}
