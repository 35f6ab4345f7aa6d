package websocket_test

import (
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"fleetcast/codec/deflate"
	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
)

var (
	inflating        = &websocket.ReaderConfig{MaxMessage: 64 << 10, Deflate: true}
	inflatingContext = &websocket.ReaderConfig{MaxMessage: 64 << 10, Deflate: true, ContextBits: 15}
)

// compressed is the compressed payload of a message.
func compressed(text string) string {
	return string(deflate.NewDeflater(6, deflate.MaxWindowBits).Append(nil, []byte(text)))
}

// marked sets RSV1 of a frame.
func marked(frame string) string { return reserved(frame, 0x40) }

// reserved sets reserved bits of a frame.
func reserved(frame string, bits byte) string { return string([]byte{frame[0] | bits}) + frame[1:] }

// compressedFrame is a masked frame that is a whole compressed message.
func compressedFrame(op ws.OpCode, text string) string {
	return reserved(string(websocket.AppendMaskedFrame(nil, op, []byte(compressed(text)), mask)), 0x40)
}

// compressedConversation has every form of a compressed message.
func compressedConversation() (stream []byte, want []message) {
	long := strings.Repeat(`{"symbol":"EURUSD","bid":1.07134},`, 300)
	payload := compressed(long)
	s := compressedFrame(ws.OpText, "hello") +
		frame(ws.OpText, "plain") +
		compressedFrame(ws.OpText, "") +
		compressedFrame(ws.OpBinary, "\xff\xfe") +
		compressedFrame(ws.OpText, long) +
		marked(fragment(ws.OpText, false, payload[:10])) +
		frame(ws.OpPing, "between") +
		fragment(ws.OpContinuation, false, "") +
		fragment(ws.OpContinuation, false, payload[10:40]) +
		frame(ws.OpContinuation, payload[40:]) +
		marked(fragment(ws.OpBinary, false, "")) +
		frame(ws.OpContinuation, payload) +
		compressedFrame(ws.OpText, "the end") +
		frame(ws.OpClose, "\x03\xe8")
	return []byte(s), []message{
		{ws.OpText, "hello"}, {ws.OpText, "plain"}, {ws.OpText, ""}, {ws.OpBinary, "\xff\xfe"}, {ws.OpText, long},
		{ws.OpPing, "between"}, {ws.OpText, long}, {ws.OpBinary, long}, {ws.OpText, "the end"}, {ws.OpClose, "\x03\xe8"},
	}
}

// TestReaderInflates reads compressed messages in every form, with others and
// control frames between (RFC 7692, 6, 6.1 and 6.2).
func TestReaderInflates(t *testing.T) {
	stream, want := compressedConversation()
	for name, c := range map[string]*websocket.ReaderConfig{"each for itself": inflating, "with context": inflatingContext} {
		t.Run(name, func(t *testing.T) {
			for size := 1; size < len(stream); size = size*3/2 + 1 {
				got, err := read(t, c, slices.Collect(slices.Chunk(stream, size))...)
				if err != nil || !slices.Equal(got, want) {
					t.Fatalf("in chunks of %d: %q, %v", size, got, err)
				}
			}
		})
	}
	// The same from a server.
	b := websocket.AppendCompressedFrame(nil, ws.OpText, []byte(compressed("hello")))
	b = websocket.AppendCompressedHeader(b, ws.OpBinary, len(compressed("again")))
	b = append(b, compressed("again")...)
	c := &websocket.ReaderConfig{MaxMessage: 100, Client: true, Deflate: true}
	if got, err := read(t, c, each(b)...); err != nil || !slices.Equal(got, []message{{ws.OpText, "hello"}, {ws.OpBinary, "again"}}) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestFragmentsOfCompressed cuts a compressed message at every byte (RFC 7692,
// 6.1 and 6.2), into two frames and into frames of one byte.
func TestFragmentsOfCompressed(t *testing.T) {
	text := strings.Repeat("Hello, wörld. ", 20)
	payload := compressed(text)
	for cut := range len(payload) + 1 {
		s := marked(fragment(ws.OpText, false, payload[:cut])) + frame(ws.OpContinuation, payload[cut:])
		for _, chunks := range [][][]byte{{[]byte(s)}, each([]byte(s))} {
			if got, err := read(t, inflating, chunks...); err != nil || !slices.Equal(got, []message{{ws.OpText, text}}) {
				t.Fatalf("cut at %d: %q, %v", cut, got, err)
			}
		}
	}
	s := marked(fragment(ws.OpText, false, ""))
	for i := range payload {
		s += fragment(ws.OpContinuation, i == len(payload)-1, payload[i:i+1])
	}
	if got, err := read(t, inflating, []byte(s)); err != nil || !slices.Equal(got, []message{{ws.OpText, text}}) {
		t.Fatalf("%q, %v", got, err)
	}
}

// TestReaderKeepsContext reads messages that refer to those before (RFC 7692,
// 7.2.2 and 7.2.3.2), with uncompressed ones and pings between.
func TestReaderKeepsContext(t *testing.T) {
	first, again := "\xf2\x48\xcd\xc9\xc9\x07\x00", "\xf2\x00\x11\x00\x00"
	s := marked(frame(ws.OpText, first)) + marked(frame(ws.OpText, again)) + frame(ws.OpText, "plain") + frame(ws.OpPing, "") +
		marked(fragment(ws.OpText, false, again[:2])) + frame(ws.OpContinuation, again[2:]) + marked(frame(ws.OpBinary, again))
	want := []message{{ws.OpText, "Hello"}, {ws.OpText, "Hello"}, {ws.OpText, "plain"}, {ws.OpPing, ""}, {ws.OpText, "Hello"}, {ws.OpBinary, "Hello"}}
	for _, chunks := range [][][]byte{{[]byte(s)}, each([]byte(s))} {
		if got, err := read(t, inflatingContext, chunks...); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := read(t, inflating, chunks...); err != websocket.ErrCompression || len(got) != 1 {
			t.Errorf("without context: %q, %v", got, err)
		}
	}
}

// TestCompressedViolations breaks the rules of compressed messages (RFC 7692,
// 6.1).
func TestCompressedViolations(t *testing.T) {
	bomb := string(deflate.NewDeflater(9, 15).Append(nil, make([]byte, 64<<10+1)))
	payload := compressed(strings.Repeat("a€", 1000))
	tests := []struct {
		name   string
		config *websocket.ReaderConfig
		stream string
		want   error
	}{
		{"not agreed on", server, compressedFrame(ws.OpText, "hello"), websocket.ErrReservedBits},
		{"RSV2", inflating, reserved(frame(ws.OpText, "a"), 0x20), websocket.ErrReservedBits},
		{"RSV1 and RSV3", inflating, reserved(frame(ws.OpText, "a"), 0x50), websocket.ErrReservedBits},
		{"RSV1 of a ping", inflating, marked(frame(ws.OpPing, "")), websocket.ErrReservedBits},
		{"RSV1 of a close", inflating, marked(frame(ws.OpClose, "")), websocket.ErrReservedBits},
		{"RSV1 of a continuation", inflating, marked(fragment(ws.OpText, false, payload[:5])) + marked(frame(ws.OpContinuation, payload[5:])), websocket.ErrReservedBits},
		{"RSV1 of the second frame alone", inflating, fragment(ws.OpText, false, "a") + marked(frame(ws.OpContinuation, "b")), websocket.ErrReservedBits},
		{"RSV1 of a reserved opcode", inflating, marked(frame(3, "")), websocket.ErrReservedOpCode},
		{"a message inside another", inflating, marked(fragment(ws.OpText, false, payload)) + compressedFrame(ws.OpText, "a"), websocket.ErrFragmentExpected},
		{"not UTF-8", inflating, compressedFrame(ws.OpText, "a\xff"), websocket.ErrTextNotUTF8},
		{"cut off inside a character", inflating, compressedFrame(ws.OpText, "a€"[:3]), websocket.ErrTextNotUTF8},
		{"bomb", inflating, marked(frame(ws.OpBinary, bomb)), websocket.ErrMessageTooBig},
		{"bomb in fragments", inflating, marked(fragment(ws.OpBinary, false, bomb[:9])) + frame(ws.OpContinuation, bomb[9:]), websocket.ErrMessageTooBig},
		{"never ending", inflating, marked(fragment(ws.OpBinary, false, "")) + strings.Repeat(fragment(ws.OpContinuation, false, strings.Repeat("\x00\x00\x00\xff\xff", 100)), 200), websocket.ErrMessageTooBig},
		{"announced too long", inflating, "\xc2\xff\x00\x00\x00\x00\x00\x10\x00\x00mask", websocket.ErrMessageTooBig},
		{"nothing at all", inflating, marked(frame(ws.OpText, "")), websocket.ErrCompression},
		{"nothing at all in fragments", inflating, marked(fragment(ws.OpText, false, "")) + frame(ws.OpContinuation, ""), websocket.ErrCompression},
		{"cut off", inflating, marked(frame(ws.OpText, payload[:len(payload)-3])), websocket.ErrCompression},
		{"corrupt", inflating, marked(frame(ws.OpText, "\xff"+payload)), websocket.ErrCompression},
		{"corrupt with context", inflatingContext, compressedFrame(ws.OpText, "a") + marked(frame(ws.OpText, "\xff")), websocket.ErrCompression},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, chunks := range [][][]byte{{[]byte(tt.stream)}, each([]byte(tt.stream))} {
				if _, err := read(t, tt.config, chunks...); err != tt.want {
					t.Errorf("in %d chunks: got %v, want %v", len(chunks), err, tt.want)
				}
			}
		})
	}
}

// TestCompressedOverhead takes a message at the limit that has grown when it was
// compressed.
func TestCompressedOverhead(t *testing.T) {
	noise := strings.Repeat("\x90\xff\xe7", 33) // coded with nine bits a byte below
	payload := compressed(noise)
	c := &websocket.ReaderConfig{MaxMessage: len(noise), Deflate: true}
	stored := "\x00\x63\x00\x9c\xff" + noise + "\x00"
	for _, p := range []string{payload, stored} {
		if got, err := read(t, c, []byte(marked(frame(ws.OpBinary, p)))); err != nil || got[0].payload != noise {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestReaderInflatesWithoutAllocating also shows that nothing is kept without
// context.
func TestReaderInflatesWithoutAllocating(t *testing.T) {
	stream := []byte(compressedFrame(ws.OpText, strings.Repeat("Hello, wörld. ", 100)))
	b := make([]byte, len(stream))
	for name, c := range map[string]*websocket.ReaderConfig{"each for itself": inflating, "with context": inflatingContext} {
		var r websocket.Reader
		turn := func() {
			copy(b, stream)
			if msg, n, ok, err := r.Next(b, c); !ok || err != nil || n != len(b) || len(msg.Payload) != 1500 {
				t.Fatalf("%d bytes, %d, %t, %v", len(msg.Payload), n, ok, err)
			}
			r.Recycle()
			if r.Pending() || c.ContextBits == 0 && r != (websocket.Reader{}) {
				t.Fatal("something is kept")
			}
		}
		for range 100 {
			turn() // the window fills
		}
		// Under the race detector the pools drop a part of what they are given.
		if n := testing.AllocsPerRun(500, turn); n > 0.1 && !(raceDetected() && n < 20) {
			t.Errorf("%s: a message allocates %v times", name, n)
		}
	}
}

func raceDetected() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// FuzzReaderInflates compares what a Reader makes of compressed frames whole and
// in chunks, and bounds what a message may become.
func FuzzReaderInflates(f *testing.F) {
	stream, _ := compressedConversation()
	f.Add(stream, []byte{0}, true)
	f.Add(stream, []byte{2, 0, 7}, false)
	f.Add([]byte(marked(frame(ws.OpText, "\xf2\x48\xcd\xc9\xc9\x07\x00"))+marked(frame(ws.OpText, "\xf2\x00\x11\x00\x00"))), []byte{3}, true)
	f.Add([]byte(marked(frame(ws.OpText, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"))), []byte{1}, false)
	f.Fuzz(func(t *testing.T, stream, cuts []byte, context bool) {
		c := &websocket.ReaderConfig{MaxMessage: 2000, Deflate: true}
		if context {
			c.ContextBits = 9
		}
		whole, wholeErr := read(t, c, stream)
		chunked, chunkedErr := read(t, c, chop(stream, cuts)...)
		if !slices.Equal(whole, chunked) || wholeErr != chunkedErr {
			t.Fatalf("whole: %q, %v; in chunks: %q, %v", whole, wholeErr, chunked, chunkedErr)
		}
		for _, m := range whole {
			if len(m.payload) > c.MaxMessage || m.op == ws.OpText && !utf8.ValidString(m.payload) {
				t.Fatalf("opcode %x of %d bytes", m.op, len(m.payload))
			}
		}
	})
}
