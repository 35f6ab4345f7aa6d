package echo

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"fleetcast/codec/deflate"
	"fleetcast/codec/websocket"
)

// bench is a session without a running loop: the test is its loop's goroutine
// and holds the other end of its socket.
type bench struct {
	*session
	peer int
	got  []byte // what the peer has read
}

func newBench(tb testing.TB, at phase) *bench {
	tb.Helper()
	config := Config{MaxMessage: DefaultMaxMessage}
	sh, err := newShard(&config, timeouts{HandshakeTimeout, CloseTimeout}, &inputMemory{limit: DefaultInputMemory})
	if err != nil {
		tb.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	b := &bench{session: &session{shard: sh, phase: at, config: &sh.plain}, peer: fds[1]}
	if err := sh.loop.Register(&b.conn, fds[0], b.session); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		sh.loop.Close()
		unix.Close(b.peer)
	})
	return b
}

// read takes what has reached the peer.
func (b *bench) read() {
	var buffer [32 << 10]byte
	for {
		n, err := unix.Read(b.peer, buffer[:])
		if n <= 0 || err != nil {
			return
		}
		b.got = append(b.got, buffer[:n]...)
	}
}

// drain takes all that the session has for the peer.
func (b *bench) drain() {
	for b.read(); b.unsent.Len() > 0; b.read() {
		b.Writable()
	}
}

func maskedFrame(op ws.OpCode, payload []byte) []byte {
	return websocket.AppendMaskedFrame(nil, op, payload, [4]byte{1, 2, 3, 4})
}

func TestStalledPeerIsBounded(t *testing.T) {
	const message = 100 << 10
	tests := []struct {
		name string
		op   ws.OpCode
		size int
	}{
		{"small messages", ws.OpText, 100},
		{"pings", ws.OpPing, 125},
		{"large messages", ws.OpBinary, message},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, open)
			var chunk, want []byte
			for len(chunk) < readBuffer-message-100 {
				payload := fmt.Appendf(nil, "%*d", test.size, len(chunk))
				chunk = append(chunk, maskedFrame(test.op, payload)...)
				answer := test.op
				if answer == ws.OpPing {
					answer = ws.OpPong
				}
				want = websocket.AppendFrame(want, answer, payload)
			}
			taken := 0
			for ; b.phase == open; taken++ {
				if taken > 100 {
					t.Fatal("never stalled")
				}
				b.Received(bytes.Clone(chunk))
			}
			if b.phase != stalled {
				t.Fatalf("phase %d", b.phase)
			}
			if most := MaxUnsent + batchSize + test.size + ws.MaxHeaderSize; b.unsent.Len() > most {
				t.Errorf("%d bytes wait, more than %d", b.unsent.Len(), most)
			}
			if b.kept == nil {
				t.Fatal("the stall did not fall inside a read")
			}
			b.drain()
			if b.phase != open || b.kept != nil {
				t.Errorf("phase %d, kept %v: does not go on", b.phase, b.kept)
			}
			if want = bytes.Repeat(want, taken); !bytes.Equal(b.got, want) {
				t.Errorf("%d bytes of echoes, want %d, or they differ", len(b.got), len(want))
			}
		})
	}
}

// Of the largest messages one waits, and nothing behind it is read.
func TestStalledPeerIsBoundedWithTheLargest(t *testing.T) {
	b := newBench(t, open)
	var stream, want []byte
	for i, op := range []ws.OpCode{ws.OpText, ws.OpBinary, ws.OpText} {
		payload := bytes.Repeat([]byte{'a' + byte(i)}, DefaultMaxMessage)
		stream = append(stream, maskedFrame(op, payload)...)
		want = websocket.AppendFrame(want, op, payload)
	}
	stalls := 0
	for len(stream) > 0 {
		n := min(readBuffer, len(stream))
		b.Received(stream[:n])
		stream = stream[n:]
		if b.phase != stalled {
			continue
		}
		stalls++
		if most := MaxUnsent + DefaultMaxMessage + ws.MaxHeaderSize; b.unsent.Len() > most || b.reader.Pending() {
			t.Errorf("%d bytes wait, at most %d may; a message is gathered too: %v", b.unsent.Len(), most, b.reader.Pending())
		}
		if b.kept != nil && len(b.kept.B) > readBuffer {
			t.Errorf("%d bytes that were read wait", len(b.kept.B))
		}
		for b.phase == stalled {
			b.read()
			b.Writable()
		}
	}
	b.drain()
	if stalls != 3 || !bytes.Equal(b.got, want) {
		t.Errorf("%d stalls; %d bytes of echoes, want %d, or they differ", stalls, len(b.got), len(want))
	}
	if b.phase != open || b.unsent.Len() > 0 || b.reader.Pending() || b.kept != nil {
		t.Errorf("phase %d: an idle connection keeps something", b.phase)
	}
}

// One message may exceed the bound and what is behind it in the same read must
// wait, even its close frame.
func TestStallBeforeClose(t *testing.T) {
	b := newBench(t, open)
	payload := make([]byte, 3<<20)
	stream := maskedFrame(ws.OpBinary, payload)
	stream = append(stream, maskedFrame(ws.OpClose, nil)...)
	b.Received(stream)
	if b.phase != stalled {
		t.Fatalf("phase %d", b.phase)
	}
	b.drain()
	want := websocket.AppendFrame(nil, ws.OpBinary, payload)
	if want = append(want, ws.CompiledClose...); b.phase != lingering || !bytes.Equal(b.got, want) {
		t.Errorf("phase %d, %d bytes, want %d", b.phase, len(b.got), len(want))
	}
}

func TestShutdownOfAStalledPeer(t *testing.T) {
	b := newBench(t, open)
	payload := make([]byte, 2<<20)
	b.Received(append(maskedFrame(ws.OpBinary, payload), maskedFrame(ws.OpText, []byte("dropped"))...))
	b.goAway()
	b.drain()
	want := websocket.AppendFrame(nil, ws.OpBinary, payload)
	want = websocket.AppendClose(want, ws.StatusGoingAway, "server is shutting down")
	if b.phase != lingering || !bytes.Equal(b.got, want) {
		t.Errorf("phase %d, %d bytes, want %d", b.phase, len(b.got), len(want))
	}
}

// There is room in the socket again, but what waits has not left yet.
func TestNothingOvertakesWhatWaits(t *testing.T) {
	b := newBench(t, open)
	var want []byte
	for i := range 3 {
		payload := bytes.Repeat([]byte{byte(i)}, MaxUnsent/4)
		b.Received(maskedFrame(ws.OpBinary, payload))
		b.read()
		want = websocket.AppendFrame(want, ws.OpBinary, payload)
	}
	b.drain()
	if !bytes.Equal(b.got, want) {
		t.Errorf("%d bytes, want %d, or they differ", len(b.got), len(want))
	}
}

// A peer that takes its last echoes slowly is left its time; one that takes
// nothing is not.
func TestFlushNeedsProgress(t *testing.T) {
	payload := make([]byte, MaxUnsent-100)
	for _, reads := range []bool{true, false} {
		b := newBench(t, open)
		b.Received(maskedFrame(ws.OpBinary, payload))
		b.PeerClosed()
		if b.phase != flushing || b.shard.flushes.Len() != 1 {
			t.Fatalf("phase %d, %d deadlines", b.phase, b.shard.flushes.Len())
		}
		left := b.unsent.Len()
		if !reads {
			b.checkProgress(left)
			if b.phase != ended {
				t.Errorf("phase %d of a stuck peer", b.phase)
			}
			continue
		}
		b.read()
		b.Writable()
		b.checkProgress(left)
		if b.phase != flushing || b.shard.flushes.Len() != 2 {
			t.Errorf("phase %d, %d deadlines of a slow peer", b.phase, b.shard.flushes.Len())
		}
		b.drain()
		if b.phase != ended || !bytes.Equal(b.got, websocket.AppendFrame(nil, ws.OpBinary, payload)) {
			t.Errorf("phase %d, %d bytes", b.phase, len(b.got))
		}
	}
}

// underRaceDetector tells whether the poller sends through calls that allocate.
func underRaceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func TestMessagesAllocateNothing(t *testing.T) {
	if underRaceDetector() {
		t.Skip("allocations are the race detector's")
	}
	fragments := websocket.AppendMaskedFragment(nil, ws.OpText, false, make([]byte, 300), [4]byte{1})
	fragments = websocket.AppendMaskedFragment(fragments, ws.OpContinuation, true, make([]byte, 300), [4]byte{1})
	for name, stream := range map[string][]byte{
		"text":      maskedFrame(ws.OpText, make([]byte, 128)),
		"binary":    maskedFrame(ws.OpBinary, make([]byte, 4<<10)),
		"ping":      maskedFrame(ws.OpPing, make([]byte, 125)),
		"unbatched": maskedFrame(ws.OpBinary, make([]byte, 2*batchSize)),
		"several":   bytes.Repeat(maskedFrame(ws.OpText, make([]byte, 128)), 50),
		"fragments": fragments,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, open)
			input := make([]byte, len(stream))
			allocations := testing.AllocsPerRun(200, func() {
				copy(input, stream)
				b.Received(input)
				b.read()
				b.got = b.got[:0]
			})
			if allocations != 0 {
				t.Errorf("%v allocations", allocations)
			}
		})
	}
}

// A session whose messages become large handles a part of them in a turn.
func TestMuchInputYields(t *testing.T) {
	b := newBench(t, open)
	b.config = &b.shard.compression.readers[0]
	b.windowBits = deflate.MaxWindowBits
	const count = 5
	payload := deflate.NewDeflater(1, deflate.MaxWindowBits).Append(nil, make([]byte, handledPerTurn+1))
	frame := websocket.AppendMaskedFrame(nil, ws.OpBinary, payload, [4]byte{1, 2, 3, 4})
	frame[0] |= 0x40 // compressed
	b.Received(bytes.Repeat(frame, count))
	echoes := 0
	for turn := 1; turn <= count; turn++ {
		b.drain()
		echoes = bytes.Count(b.got, []byte{0xc2}) // the header of a compressed binary frame
		if want := turn; echoes != want {
			t.Fatalf("%d echoes after turn %d", echoes, turn)
		}
		if (b.phase == yielded) != (turn < count) {
			t.Fatalf("phase %d after turn %d", b.phase, turn)
		}
		if busy := b.shard.Turn(); busy != (turn+1 < count) {
			t.Fatalf("turn %d: busy is %t", turn, busy)
		}
	}
}

// A session that sends many small frames, of which no message comes, yields too.
func TestManyFramesYield(t *testing.T) {
	for name, frame := range map[string][]byte{
		"fragments": websocket.AppendMaskedFragment(nil, ws.OpContinuation, false, nil, [4]byte{1, 2, 3, 4}),
		"pongs":     maskedFrame(ws.OpPong, nil),
		"pings":     maskedFrame(ws.OpPing, nil),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, open)
			stream := websocket.AppendMaskedFragment(nil, ws.OpBinary, false, nil, [4]byte{1, 2, 3, 4})
			const frames = 4 * handledPerTurn / frameCost
			b.Received(append(stream, bytes.Repeat(frame, frames)...))
			turns := 1
			for ; b.phase == yielded; turns++ {
				b.drain()
				b.shard.Turn()
			}
			if turns < 4 {
				t.Errorf("%d frames were handled in %d turns", frames, turns)
			}
		})
	}
}
