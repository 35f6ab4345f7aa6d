package websocket

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/gobwas/ws"
)

// A buffer follows what has arrived, not what a header promises.
func TestPromisesCostNothing(t *testing.T) {
	const promised = 16 << 20
	config := &ReaderConfig{MaxMessage: promised}
	for _, portion := range []int{10, 1000, 64 << 10, 256 << 10, 1 << 20} {
		t.Run(fmt.Sprint(portion), func(t *testing.T) {
			frame := AppendMaskedFrame(nil, ws.OpBinary, make([]byte, promised), [4]byte{1, 2, 3, 4})
			var r Reader
			defer r.Release()
			var msg Message
			for arrived := 0; len(frame) > 0 && arrived < 200*portion; arrived += portion {
				b := frame[:min(portion, len(frame))]
				frame = frame[len(b):]
				var err error
				if msg, _, _, err = r.Next(b, config); err != nil {
					t.Fatal(err)
				}
				if r.partial.message == nil {
					continue // the header is not complete, or nothing follows it yet
				}
				// A small buffer from the pool may have had a larger message before.
				room, there := cap(r.partial.message.B), len(r.partial.message.B)
				if most := max(4*there, maxPooledPayload); room > most || room > promised {
					t.Fatalf("room for %d bytes when %d have arrived", room, there)
				}
			}
			if len(frame) == 0 && len(msg.Payload) != promised {
				t.Errorf("the message has %d bytes", len(msg.Payload))
			}
		})
	}
}

func TestLargePool(t *testing.T) {
	for capacity, pooled := range map[int]bool{
		0: false, 64: false, maxPooledPayload: false, maxPooledPayload + 1: false, 2 * maxPooledPayload: true, 3 * maxPooledPayload: false,
		1 << 20: true, 1<<20 + 1: false, 16 << 20: true, 16<<20 + 1: false, 32 << 20: false,
	} {
		if got := largePool(capacity) != nil; got != pooled {
			t.Errorf("a buffer of %d bytes is pooled: %v", capacity, got)
		}
	}
}

func TestTakePayload(t *testing.T) {
	config := &ReaderConfig{MaxMessage: 4 << 20}
	mask := [4]byte{1, 2, 3, 4}
	large := func(fill byte) []byte { return bytes.Repeat([]byte{fill}, 3<<20) }
	stream := func(fill byte) []byte { return AppendMaskedFrame(nil, ws.OpBinary, large(fill), mask) }
	// next returns the next message of parts, after which the Reader has it.
	next := func(t *testing.T, r *Reader, parts ...[]byte) (msg Message) {
		t.Helper()
		for i, part := range parts {
			var ok bool
			var err error
			if msg, _, ok, err = r.Next(part, config); err != nil || ok != (i == len(parts)-1) {
				t.Fatalf("part %d: message %v, error %v", i, ok, err)
			}
		}
		return msg
	}

	t.Run("gathered", func(t *testing.T) {
		var r Reader
		defer r.Release()
		one := stream('1')
		msg := next(t, &r, one[:1000], one[1000:])
		taken := r.TakePayload(msg)
		if taken == nil || !bytes.Equal(taken.B, large('1')) {
			t.Fatal("the buffer does not hold the message")
		}
		if r.TakePayload(msg) != nil {
			t.Error("it was taken twice")
		}
		r.Recycle()
		two := stream('2')
		if msg := next(t, &r, two[:5], two[5:]); !bytes.Equal(msg.Payload, large('2')) {
			t.Error("the next message is wrong")
		}
		if !bytes.Equal(taken.B, large('1')) {
			t.Error("what was taken is written to")
		}
		FreePayload(taken)
	})
	t.Run("fragments", func(t *testing.T) {
		var r Reader
		defer r.Release()
		first := AppendMaskedFragment(nil, ws.OpBinary, false, []byte("ab"), mask)
		ping := AppendMaskedFrame(nil, ws.OpPing, []byte("ab"), mask)
		last := AppendMaskedFragment(nil, ws.OpContinuation, true, []byte("cd"), mask)
		if msg := next(t, &r, first, ping); r.TakePayload(msg) != nil {
			t.Error("a ping has taken the fragments with it")
		}
		taken := r.TakePayload(next(t, &r, last))
		if taken == nil || string(taken.B) != "abcd" {
			t.Fatalf("took %v", taken)
		}
		FreePayload(taken)
	})
	for name, frame := range map[string][]byte{
		"in place": AppendMaskedFrame(nil, ws.OpBinary, []byte("here"), mask),
		"empty":    AppendMaskedFrame(nil, ws.OpBinary, nil, mask),
		"ping":     AppendMaskedFrame(nil, ws.OpPing, []byte("ping"), mask),
	} {
		t.Run(name, func(t *testing.T) {
			var r Reader
			defer r.Release()
			if r.TakePayload(next(t, &r, frame)) != nil {
				t.Error("there was a buffer to take")
			}
		})
	}
}
