package websocket_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
)

// TestReaderLimit proves RFC 6455, 10.4.
func TestReaderLimit(t *testing.T) {
	const limit = 64 << 10
	big := strings.Repeat("x", limit)
	header := func(first byte, length int) []byte {
		b := websocket.AppendHeader(nil, ws.OpText, length)
		b[0], b[1] = first, b[1]|0x80
		return append(b, "mask"...)
	}
	tests := []struct {
		name   string
		chunks [][]byte
		want   error
	}{
		{"exactly the limit", [][]byte{[]byte(frame(ws.OpText, big))}, nil},
		{"exactly the limit in fragments", [][]byte{[]byte(fragment(ws.OpText, false, big[:30000]) + fragment(ws.OpContinuation, false, big[30000:]) + frame(ws.OpContinuation, ""))}, nil},
		{"header one over", [][]byte{header(0x81, limit+1)}, websocket.ErrMessageTooBig},
		{"header of a fragment one over", [][]byte{header(0x01, limit+1)}, websocket.ErrMessageTooBig},
		{"fragments one over, from the header", [][]byte{[]byte(fragment(ws.OpText, false, big[:limit-1000])), header(0x80, 1001)}, websocket.ErrMessageTooBig},
		{"full, then one byte", [][]byte{[]byte(fragment(ws.OpText, false, big)), header(0x00, 1)}, websocket.ErrMessageTooBig},
		{"full, then a ping", [][]byte{[]byte(fragment(ws.OpText, false, big) + frame(ws.OpPing, "x"))}, nil},
	}
	for _, tt := range tests {
		if _, err := read(t, server, tt.chunks...); err != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	none := &websocket.ReaderConfig{}
	if _, err := read(t, none, []byte(frame(ws.OpText, "")), []byte(frame(ws.OpText, "x"))); err != error(websocket.ErrMessageTooBig) {
		t.Errorf("no room for messages: %v", err)
	}
}

// allocated counts the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestReaderTrustsNoLength: a header that promises 16 MiB costs what arrives
// (RFC 6455, 10.4).
func TestReaderTrustsNoLength(t *testing.T) {
	c := &websocket.ReaderConfig{MaxMessage: 16 << 20}
	stream := websocket.AppendHeader(nil, ws.OpBinary, 16<<20)
	stream[1] |= 0x80
	stream = append(stream, "mask and ten"...)
	var r websocket.Reader
	got := allocated(func() {
		if _, _, _, err := r.Next(stream, c); err != nil {
			t.Error(err)
		}
	})
	if got > 8<<10 {
		t.Errorf("%d bytes were allocated for 8 of payload", got)
	}
	r.Release()
}

// TestReaderIsLinear counts the bytes that growing a message byte by byte
// moves: they are a multiple of the message, however long it is.
func TestReaderIsLinear(t *testing.T) {
	c := &websocket.ReaderConfig{MaxMessage: 16 << 20}
	cost := func(size int) uint64 {
		stream := websocket.AppendMaskedFrame(nil, ws.OpText, bytes.Repeat([]byte("é"), size/2), mask)
		var r websocket.Reader
		defer r.Release()
		return allocated(func() {
			for i := range stream {
				_, _, ok, err := r.Next(stream[i:i+1], c)
				if err != nil || ok != (i == len(stream)-1) {
					t.Fatalf("byte %d: ok %t, %v", i, ok, err)
				}
			}
		})
	}
	for _, size := range []int{256 << 10, 512 << 10, 1 << 20} {
		if got := cost(size); got > 10*uint64(size) {
			t.Errorf("%d bytes were allocated for %d", got, size)
		}
	}
}

func TestReaderAllocations(t *testing.T) {
	text := []byte(frame(ws.OpText, strings.Repeat("é", 64)))
	work := make([]byte, len(text))
	var r websocket.Reader
	if n := testing.AllocsPerRun(1000, func() {
		copy(work, text)
		if _, _, ok, err := r.Next(work, server); !ok || err != nil {
			t.Fatal(err)
		}
		r.Recycle()
	}); n != 0 {
		t.Errorf("a whole frame allocates %v times", n)
	}
	// Under the race detector the pools drop a part of what they are given.
	if n := testing.AllocsPerRun(1000, func() {
		copy(work, text)
		for i := range work {
			if _, _, _, err := r.Next(work[i:i+1], server); err != nil {
				t.Fatal(err)
			}
		}
		r.Recycle()
	}); n >= 2 {
		t.Errorf("a frame byte by byte allocates %v times", n)
	}
}
