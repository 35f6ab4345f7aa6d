package websocket_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
)

var (
	server = &websocket.ReaderConfig{MaxMessage: 64 << 10}
	client = &websocket.ReaderConfig{MaxMessage: 64 << 10, Client: true}
	mask   = [4]byte{0x37, 0xfa, 0x21, 0x3d}
)

// message is a Message that outlives the Reader's buffers.
type message struct {
	op      ws.OpCode
	payload string
}

// read hands the chunks to a Reader and returns what comes out. It checks the
// contract of Next on the way.
func read(t testing.TB, c *websocket.ReaderConfig, chunks ...[]byte) (got []message, err error) {
	t.Helper()
	var r websocket.Reader
	defer r.Release()
	for _, chunk := range chunks {
		b := bytes.Clone(chunk)
		for len(b) > 0 {
			msg, n, ok, err := r.Next(b, c)
			if err != nil {
				if ok {
					t.Fatal("a message and an error at once")
				}
				if _, _, _, again := r.Next(b, c); again != err {
					t.Fatalf("after %v the Reader says %v", err, again)
				}
				return got, err
			}
			if n > len(b) || n == 0 {
				t.Fatalf("consumed %d of %d bytes, ok is %t", n, len(b), ok)
			}
			if !ok && n < len(b) && !r.Pending() {
				t.Fatalf("a frame that is neither a message nor a fragment ends at %d of %d bytes", n, len(b))
			}
			if ok {
				got = append(got, message{msg.Op, string(msg.Payload)})
				r.Recycle()
			}
			b = b[n:]
		}
	}
	return got, nil
}

// each splits b into single bytes.
func each(b []byte) [][]byte { return slices.Collect(slices.Chunk(b, 1)) }

// fragment is a masked frame of a message.
func fragment(op ws.OpCode, fin bool, payload string) string {
	return string(websocket.AppendMaskedFragment(nil, op, fin, []byte(payload), mask))
}

// frame is a masked frame that is a whole message.
func frame(op ws.OpCode, payload string) string { return fragment(op, true, payload) }

func TestReaderIsOnePointer(t *testing.T) {
	if size := unsafe.Sizeof(websocket.Reader{}); size != unsafe.Sizeof(uintptr(0)) {
		t.Errorf("a Reader has %d bytes", size)
	}
}

// conversation is a stream with everything in it that a peer may send, and what
// it means.
func conversation() (stream []byte, want []message) {
	long := strings.Repeat("0123456789abcdé€😀", 20)
	s := frame(ws.OpText, "hello") +
		frame(ws.OpText, "") +
		frame(ws.OpBinary, "\xff\x00") +
		frame(ws.OpPing, "") +
		frame(ws.OpPing, strings.Repeat("p", 125)) +
		fragment(ws.OpText, false, "a€"[:2]) +
		frame(ws.OpPing, "between") +
		fragment(ws.OpContinuation, false, "a€"[2:3]) +
		frame(ws.OpPong, "") +
		fragment(ws.OpContinuation, false, "") +
		frame(ws.OpContinuation, "a€"[3:]) +
		fragment(ws.OpBinary, false, "") +
		frame(ws.OpContinuation, "") +
		fragment(ws.OpText, false, "") +
		frame(ws.OpContinuation, "late") +
		frame(ws.OpText, long) +
		frame(ws.OpPong, "x") +
		frame(ws.OpClose, "\x03\xe8bye")
	return []byte(s), []message{
		{ws.OpText, "hello"}, {ws.OpText, ""}, {ws.OpBinary, "\xff\x00"},
		{ws.OpPing, ""}, {ws.OpPing, strings.Repeat("p", 125)},
		{ws.OpPing, "between"}, {ws.OpPong, ""}, {ws.OpText, "a€"},
		{ws.OpBinary, ""}, {ws.OpText, "late"}, {ws.OpText, long},
		{ws.OpPong, "x"}, {ws.OpClose, "\x03\xe8bye"},
	}
}

// unmasked turns a client's stream into a server's by way of gobwas/ws.
func unmasked(t testing.TB, stream []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for in := bytes.NewReader(stream); in.Len() > 0; {
		f := readFrame(t, in)
		f.Header.Masked, f.Header.Mask = false, [4]byte{}
		if err := ws.WriteFrame(&out, f); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// TestReaderSplits proves RFC 6455, 5.4 and 6.2.
func TestReaderSplits(t *testing.T) {
	masked, want := conversation()
	for name, side := range map[string]struct {
		stream []byte
		config *websocket.ReaderConfig
	}{"server": {masked, server}, "client": {unmasked(t, masked), client}} {
		t.Run(name, func(t *testing.T) {
			check := func(how string, chunks ...[]byte) {
				t.Helper()
				got, err := read(t, side.config, chunks...)
				if err != nil || !slices.Equal(got, want) {
					t.Fatalf("%s: got %q, %v", how, got, err)
				}
			}
			check("whole", side.stream)
			check("byte by byte", each(side.stream)...)
			for i := range side.stream {
				check(fmt.Sprintf("split at %d", i), side.stream[:i], side.stream[i:])
			}
			random := rand.New(rand.NewPCG(1, 2))
			for range 500 {
				check("random chunks", randomChunks(random, side.stream)...)
			}
		})
	}
}

func randomChunks(random *rand.Rand, b []byte) (chunks [][]byte) {
	for len(b) > 0 {
		n := min(1+random.IntN(1+random.IntN(100)), len(b))
		chunks, b = append(chunks, b[:n]), b[n:]
	}
	return chunks
}

// TestReaderControlInsideFragments keeps fragments and half a control frame at
// once (RFC 6455, 5.4).
func TestReaderControlInsideFragments(t *testing.T) {
	got, err := read(t, server,
		[]byte(fragment(ws.OpText, false, "one ")+frame(ws.OpPing, "ping")[:8]),
		[]byte(frame(ws.OpPing, "ping")[8:]+frame(ws.OpContinuation, "two")))
	want := []message{{ws.OpPing, "ping"}, {ws.OpText, "one two"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestReaderPayloadInPlace(t *testing.T) {
	var r websocket.Reader
	b := []byte(frame(ws.OpText, "hello") + frame(ws.OpPing, "ping"))
	for len(b) > 0 {
		msg, n, ok, err := r.Next(b, server)
		if !ok || err != nil {
			t.Fatalf("ok %t, %v", ok, err)
		}
		if &msg.Payload[0] != &b[n-len(msg.Payload)] {
			t.Errorf("%q is a copy", msg.Payload)
		}
		if cap(msg.Payload) != len(msg.Payload) {
			t.Errorf("appending to %q would overwrite the next frame", msg.Payload)
		}
		if r.Pending() {
			t.Error("pending after a whole frame")
		}
		r.Recycle()
		b = b[n:]
	}
	if r != (websocket.Reader{}) {
		t.Error("an idle Reader keeps something")
	}
}

// TestReaderKeepsNothingWhenIdle looks at the Reader at each split position of
// a message.
func TestReaderKeepsNothingWhenIdle(t *testing.T) {
	stream := fragment(ws.OpText, false, "hel") + frame(ws.OpPing, "p") + frame(ws.OpContinuation, "lo")
	var r websocket.Reader
	for i, b := range each([]byte(stream)) {
		_, _, ok, err := r.Next(b, server)
		if err != nil {
			t.Fatal(err)
		}
		last := i == len(stream)-1
		if ok {
			if last == r.Pending() {
				t.Errorf("byte %d: pending is %t", i, r.Pending())
			}
			r.Recycle()
		}
		if (r == websocket.Reader{}) != last {
			t.Errorf("byte %d: keeping is wrong", i)
		}
	}

	// A header that came in two, with all of its payload behind the second part.
	stream = frame(ws.OpText, "hello")
	for _, b := range []string{stream[:1], stream[1:]} {
		if _, _, _, err := r.Next([]byte(b), server); err != nil {
			t.Fatal(err)
		}
	}
	if r.Pending() || r != (websocket.Reader{}) {
		t.Error("a message in place leaves something behind")
	}

	if _, _, _, err := r.Next([]byte("\x81\x85mask"), server); err != nil || !r.Pending() {
		t.Errorf("half a frame: %v, pending %t", err, r.Pending())
	}
	r.Release()
	if r != (websocket.Reader{}) || r.Pending() {
		t.Error("Release kept something")
	}
}

// TestReaderStopsAfterEachFrame: no sequence of frames is taken at once, however
// small they are and although no message ends.
func TestReaderStopsAfterEachFrame(t *testing.T) {
	compressing := &websocket.ReaderConfig{MaxMessage: 64 << 10, Deflate: true}
	for name, test := range map[string]struct {
		first, more string
		config      *websocket.ReaderConfig
	}{
		"empty fragments":        {fragment(ws.OpText, false, ""), fragment(ws.OpContinuation, false, ""), server},
		"fragments of one byte":  {fragment(ws.OpBinary, false, "x"), fragment(ws.OpContinuation, false, "x"), server},
		"fragments and pings":    {fragment(ws.OpText, false, "x"), frame(ws.OpPing, ""), server},
		"pongs":                  {frame(ws.OpPong, ""), frame(ws.OpPong, ""), server},
		"empty messages":         {frame(ws.OpText, ""), frame(ws.OpText, ""), server},
		"compressed, no content": {marked(fragment(ws.OpText, false, "")), fragment(ws.OpContinuation, false, ""), compressing},
	} {
		t.Run(name, func(t *testing.T) {
			const frames = 100
			b := []byte(test.first + strings.Repeat(test.more, frames))
			var r websocket.Reader
			defer r.Release()
			for taken := 0; len(b) > 0; taken++ {
				want := len(test.more)
				if taken == 0 {
					want = len(test.first)
				}
				_, n, _, err := r.Next(b, test.config)
				if n != want || err != nil {
					t.Fatalf("after %d frames %d bytes were taken, want %d: %v", taken, n, want, err)
				}
				b = b[n:]
			}
		})
	}
}

// TestReaderWithoutRecycle forgets to recycle: the next message is still right.
func TestReaderWithoutRecycle(t *testing.T) {
	var r websocket.Reader
	for _, want := range []string{"first", "second", "third"} {
		var got string
		for _, b := range each([]byte(frame(ws.OpText, want))) {
			if msg, _, ok, err := r.Next(b, server); err != nil {
				t.Fatal(err)
			} else if ok {
				got = string(msg.Payload)
			}
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
