package echo_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"

	"fleetcast/gateway/echo"
)

// sizes are those at which a header or a buffer changes, and the largest.
var sizes = []int{0, 1, 125, 126, 4 << 10, 16<<10 - 4, 16 << 10, 65535, 65536, 300 << 10, 16 << 20}

func text(size int) []byte {
	const unit = "añ€😀 bcd"
	return bytes.Repeat([]byte(unit), size/len(unit))
}

func noise(size int) []byte {
	p := make([]byte, size)
	random := rand.NewChaCha8([32]byte{byte(size)})
	_, _ = random.Read(p)
	return p
}

func TestCoderClient(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	conn, _, err := coder.Dial(ctx, "ws://"+address(serve(t, echo.Config{}))+"/any/path?q=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(-1)
	for _, size := range sizes {
		messages := map[coder.MessageType][]byte{coder.MessageBinary: noise(size)}
		if size < 16<<20 { // once is enough of the largest
			messages[coder.MessageText] = text(size)
		}
		for kind, payload := range messages {
			if err := conn.Write(ctx, kind, payload); err != nil {
				t.Fatal(err)
			}
			gotKind, got, err := conn.Read(ctx)
			if err != nil || gotKind != kind || !bytes.Equal(got, payload) {
				t.Fatalf("size %d: kind %v, %d bytes, error %v", size, gotKind, len(got), err)
			}
		}
	}
	conn.CloseRead(ctx)
	if err := conn.Ping(ctx); err != nil {
		t.Errorf("ping: %v", err)
	}
	if err := conn.Close(coder.StatusNormalClosure, "done"); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestGorillaClientFragments(t *testing.T) {
	dialer := gorilla.Dialer{WriteBufferSize: 1 << 10} // the size of its fragments
	conn, _, err := dialer.Dial("ws://"+address(serve(t, echo.Config{}))+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, payload := range [][]byte{{}, text(12), text(64 << 10), text(1 << 20)} {
		w, err := conn.NextWriter(gorilla.TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		for chunk := range slices.Chunk(payload, 700) {
			if _, err := w.Write(chunk); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		kind, got, err := conn.ReadMessage()
		if err != nil || kind != gorilla.TextMessage || !bytes.Equal(got, payload) {
			t.Fatalf("kind %d, %d of %d bytes, error %v", kind, len(got), len(payload), err)
		}
	}
}

func TestManyClientsOnSeveralLoops(t *testing.T) {
	server := serve(t, echo.Config{Loops: 3})
	var clients sync.WaitGroup
	for i := range 30 {
		c := connect(t, server)
		clients.Go(func() {
			for j := range 50 {
				payload := fmt.Sprintf("client %d, message %d", i, j)
				c.send(masked(ws.OpText, payload))
				_, got, err := c.frame()
				if err != nil || string(got) != payload {
					t.Errorf("got %q, error %v; want %q", got, err, payload)
					return
				}
			}
		})
	}
	clients.Wait()
}

// conversation is a stream of everything that has an answer, and the answers.
func conversation() (stream []byte, check func(*rawClient)) {
	long := strings.Repeat("long ", 100)
	stream = join(
		masked(ws.OpText, "héllo"),
		masked(ws.OpPing, "now"),
		fragment(ws.OpText, false, "fr\xc3"), // a character cut in two
		masked(ws.OpPing, ""),
		fragment(ws.OpContinuation, false, ""),
		masked(ws.OpPong, "unasked"),
		masked(ws.OpPing, strings.Repeat("p", 125)),
		fragment(ws.OpContinuation, true, "\xa9d"),
		masked(ws.OpBinary, long),
		masked(ws.OpBinary, ""),
		closing(4321, "bye"),
		masked(ws.OpText, "after the close frame"),
	)
	return stream, func(c *rawClient) {
		c.Helper()
		c.upgraded()
		c.expect(ws.OpText, []byte("héllo"))
		c.expect(ws.OpPong, []byte("now"))
		c.expect(ws.OpPong, nil)
		c.expect(ws.OpPong, []byte(strings.Repeat("p", 125)))
		c.expect(ws.OpText, []byte("fréd"))
		c.expect(ws.OpBinary, []byte(long))
		c.expect(ws.OpBinary, nil)
		c.expectClose(4321)
		c.expectEnd()
	}
}

func TestAnySplitOfTheBytes(t *testing.T) {
	server := serve(t, echo.Config{})
	frames, check := conversation()
	stream := join(request("/ws"), frames)
	for _, size := range []int{1, 2, 7, 100, len(stream)} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			c := dial(t, server)
			for p := stream; len(p) > 0; {
				n := min(size, len(p))
				c.send(p[:n])
				p = p[n:]
			}
			check(c)
		})
	}
}

func TestPipelinedMessagesComeInOrder(t *testing.T) {
	c := connect(t, serve(t, echo.Config{}))
	const count = 20000
	var stream []byte
	for i := range count {
		stream = append(stream, masked(ws.OpText, fmt.Sprint(i))...)
		if i%1000 == 0 { // among them some that do not fit in a batch
			stream = append(stream, masked(ws.OpBinary, string(noise(20<<10)))...)
		}
	}
	go func() { _, _ = io.Copy(c.TCPConn, bytes.NewReader(stream)) }()
	for i := range count {
		c.expect(ws.OpText, fmt.Append(nil, i))
		if i%1000 == 0 {
			c.expect(ws.OpBinary, noise(20<<10))
		}
	}
}

// Messages of all sizes, whole and in fragments, wait for a peer that sends them
// all without reading first: what the kernel takes of one, what is copied and
// what waits where it was gathered must not get mixed up.
func TestPipelinedSizesComeInOrder(t *testing.T) {
	t.Parallel()
	c := connect(t, serve(t, echo.Config{}))
	type message struct {
		op      ws.OpCode
		payload []byte
	}
	var messages []message
	var stream []byte
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 100 {
		size := []int{0, 10, 125, 126, 2000, 16 << 10, 64 << 10, 70_000, 300 << 10, 1 << 20, 3<<20 + 17}[random.IntN(11)]
		op := []ws.OpCode{ws.OpText, ws.OpBinary}[i%2]
		payload := bytes.Repeat(fmt.Appendf(nil, "%d of %d. ", i, size), size/8+1)[:size]
		messages = append(messages, message{op, payload})
		if cut := size / 3; random.IntN(3) == 0 {
			stream = append(stream, fragment(op, false, string(payload[:cut]))...)
			stream = append(stream, fragment(ws.OpContinuation, true, string(payload[cut:]))...)
		} else {
			stream = append(stream, masked(op, string(payload))...)
		}
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute)) // these are many bytes for the race detector
	go func() { _, _ = io.Copy(c.TCPConn, bytes.NewReader(stream)) }()
	for _, m := range messages {
		c.expect(m.op, m.payload)
	}
}

// TestMaxMessage proves RFC 6455, 10.4.
func TestMaxMessage(t *testing.T) {
	server := serve(t, echo.Config{MaxMessage: 1000})
	c := connect(t, server)
	c.send(masked(ws.OpBinary, string(noise(1000))))
	c.expect(ws.OpBinary, noise(1000))
	header := masked(ws.OpBinary, string(noise(1001)))[:8]
	c.send(header)
	c.expectClose(ws.StatusMessageTooBig)
	c.expectEnd()

	c = connect(t, server)
	c.send(join(fragment(ws.OpText, false, strings.Repeat("a", 600)), fragment(ws.OpContinuation, true, strings.Repeat("a", 401))))
	c.expectClose(ws.StatusMessageTooBig)
}
