package websocket

import (
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// TestTextIsCheckedOnce: never more than the last, incomplete character is left
// for the next check, so a message is checked once however it is split.
func TestTextIsCheckedOnce(t *testing.T) {
	stream := AppendMaskedFrame(nil, ws.OpText, []byte(strings.Repeat("aé€😀", 100)), [4]byte{1, 2, 3, 4})
	var r Reader
	defer r.Release()
	c := &ReaderConfig{MaxMessage: 64 << 10}
	for i := range stream {
		if _, _, _, err := r.Next(stream[i:i+1], c); err != nil {
			t.Fatal(err)
		}
		if p := r.partial; p.gathered()-p.checked > 3 {
			t.Fatalf("byte %d: %d bytes are gathered, only %d checked", i, p.gathered(), p.checked)
		}
	}
}

// TestLargeBuffersAreNotPooled: the next half-received message must not sit in
// the buffer of a large one.
func TestLargeBuffersAreNotPooled(t *testing.T) {
	c := &ReaderConfig{MaxMessage: 16 << 20}
	stream := AppendMaskedFrame(nil, ws.OpBinary, make([]byte, 4<<20), [4]byte{1, 2, 3, 4})
	for range 20 {
		var r Reader
		for b := stream; len(b) > 0; {
			chunk := b[:min(len(b), 64<<10)]
			if _, _, _, err := r.Next(chunk, c); err != nil {
				t.Fatal(err)
			}
			b = b[len(chunk):]
		}
		r.Release()
		if _, _, _, err := r.Next(stream[:20], c); err != nil {
			t.Fatal(err)
		}
		if got := cap(r.partial.message.B); got > maxPooledPayload {
			t.Fatalf("20 bytes are kept in a buffer of %d", got)
		}
		r.Release()
	}
}
