package deflate_test

import (
	"bytes"
	stdflate "compress/flate"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"fleetcast/codec/deflate"
)

// samples are messages of several kinds, of n bytes each.
func samples(n int) map[string][]byte {
	random := rand.New(rand.NewPCG(7692, uint64(n)))
	noise, records := make([]byte, n), make([]byte, 0, n+128)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	for len(records) < n {
		records = fmt.Appendf(records, `{"symbol":"EUR%03d","bid":%.5f,"volume":%d},`, random.IntN(200), random.Float64(), random.IntN(1e6))
	}
	return map[string][]byte{
		"zeros": make([]byte, n), "noise": noise, "records": records[:n], "text": []byte(strings.Repeat("Hello, wörld. ", n/14+1)[:n]),
	}
}

// TestRoundTrip compresses messages of all sizes and kinds, each for itself, and
// inflates them (RFC 7692, 7.2.1 and 7.2.2).
func TestRoundTrip(t *testing.T) {
	messages := make(map[string][]byte)
	for _, n := range []int{0, 1, 2, 16, 255, 256, 257, 1000, 4096, 32768, 65536, 150_000} {
		for kind, message := range samples(n) {
			messages[fmt.Sprintf("%d bytes of %s", n, kind)] = message
		}
	}
	inflater := deflate.NewInflater()
	check := func(level, bits int) {
		deflater := deflate.NewDeflater(level, bits)
		for name, message := range messages {
			payload := deflater.Append([]byte("before"), message)
			payload = bytes.TrimPrefix(payload, []byte("before"))
			checkInflates(t, inflater, fmt.Sprintf("level %d, %d bits, %s", level, bits, name), payload, nil, message)
		}
	}
	for level := deflate.MinLevel; level <= deflate.MaxLevel; level++ {
		check(level, deflate.MaxWindowBits)
	}
	for bits := deflate.MinWindowBits; bits < deflate.MaxWindowBits; bits++ {
		check(1, bits) // there is one level only
	}
}

func checkInflates(t *testing.T, f *deflate.Inflater, what string, payload []byte, window *deflate.Window, want []byte) {
	t.Helper()
	got, err := f.Append([]byte("before"), payload[:len(payload):len(payload)], window, len(want))
	if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
		t.Fatalf("%s: %d bytes, %v", what, len(got), err)
	}
	if len(want) > 0 {
		if got, err := f.Append(nil, payload, window, len(want)-1); !errors.Is(err, deflate.ErrTooLong) || len(got) > len(want) {
			t.Fatalf("%s, one byte too long: %d bytes, %v", what, len(got), err)
		}
	}
}

// TestWindows inflates what was made for a small window with no more context than
// that window holds: repetitions further apart must not be referred to.
func TestWindows(t *testing.T) {
	inflater := deflate.NewInflater()
	for bits := deflate.MinWindowBits; bits < deflate.MaxWindowBits; bits++ {
		size := 1 << bits
		noise := samples(4 * size)["noise"]
		near := append(noise[:size/2:size/2], noise[:size/2]...)
		far := append(noise[:2*size:2*size], noise[:2*size]...)
		deflater := deflate.NewDeflater(6, bits)
		if got := len(deflater.Append(nil, near)); got > len(near)*3/4 {
			t.Errorf("%d bits: a repetition within the window is not used: %d of %d bytes", bits, got, len(near))
		}
		payload := deflater.Append(nil, far)
		if len(payload) < len(far) {
			t.Errorf("%d bits: a repetition beyond the window is used: %d of %d bytes", bits, len(payload), len(far))
		}
		checkInflates(t, inflater, "far", payload, nil, far)
	}
}

// TestExamples inflates those of RFC 7692, 7.2.2, 7.2.3.1, 7.2.3.3, 7.2.3.4,
// 7.2.3.5 and 7.2.3.6.
func TestExamples(t *testing.T) {
	tests := []struct{ name, payload, want string }{
		{"one block (7.2.3.1)", "f248cdc9c90700", "Hello"},
		{"no compression (7.2.3.3)", "000500faff48656c6c6f00", "Hello"},
		{"final block (7.2.3.4)", "f348cdc9c9070000", "Hello"},
		{"two blocks (7.2.3.5)", "f248050000" + "00ffffcac9c90700", "Hello"},
		{"empty (7.2.3.6)", "00", ""},
		{"final block, then another stream that refers to it", "f348cdc9c90700" + "f2001100" + "00", "HelloHello"},
	}
	f := deflate.NewInflater()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			payload, _ := hex.DecodeString(tt.payload)
			checkInflates(t, f, tt.name, payload, nil, []byte(tt.want))
		})
	}
}

// compressor is a sender with context.
type compressor struct {
	out bytes.Buffer
	w   *stdflate.Writer
}

func newCompressor() *compressor {
	c := new(compressor)
	c.w, _ = stdflate.NewWriter(&c.out, 9)
	return c
}

func (c *compressor) message(p []byte) []byte {
	c.out.Reset()
	_, _ = c.w.Write(p)
	_ = c.w.Flush()
	return bytes.TrimSuffix(bytes.Clone(c.out.Bytes()), []byte("\x00\x00\xff\xff"))
}

// TestContext takes messages that refer to those before (RFC 7692, 7.2.2 and
// 7.2.3.2).
func TestContext(t *testing.T) {
	f := deflate.NewInflater()
	window := deflate.NewWindow(15)
	for _, payload := range []string{"f248cdc9c90700", "f200110000", "f200110000"} {
		b, _ := hex.DecodeString(payload)
		checkInflates(t, f, payload, b, window, []byte("Hello"))
		window.Add([]byte("Hello"))
	}

	sender := newCompressor()
	window = deflate.NewWindow(15)
	random := rand.New(rand.NewPCG(1, 2))
	noise := samples(100_000)["noise"]
	var small, all int
	for i := range 200 {
		n := random.IntN(3000)
		if i%50 == 49 {
			n = 100_000 // more than the window
		}
		message := noise[:n]
		if i > 0 && n < 3000 {
			small += n
		}
		payload := sender.message(message)
		if i > 0 && n < 3000 {
			all += len(payload)
		}
		checkInflates(t, f, fmt.Sprint("message ", i), payload, window, message)
		window.Add(message)
	}
	if all > small/4 {
		t.Errorf("the messages do not refer to those before: %d of %d bytes", all, small)
	}

	// Without the context, such a message is corrupt.
	hello, _ := hex.DecodeString("f200110000")
	if _, err := f.Append(nil, hello, nil, 100); !errors.Is(err, deflate.ErrCorrupt) {
		t.Errorf("without its context: %v", err)
	}
	// A final block in the middle of a message leaves the context in place.
	window = deflate.NewWindow(15)
	window.Add([]byte("Hello"))
	final, _ := hex.DecodeString("f300110000")
	checkInflates(t, f, "final block", final, window, []byte("Hello"))
}

func TestCorrupt(t *testing.T) {
	f := deflate.NewInflater()
	message := samples(5000)["records"]
	payload := deflate.NewDeflater(6, 15).Append(nil, message)
	// The last byte is the beginning of the empty block; without it, and without
	// any more, the message is cut off.
	for n := range payload {
		if got, err := f.Append(nil, payload[:n:n], nil, len(message)); err == nil {
			t.Errorf("cut off at %d of %d: %d bytes", n, len(payload), len(got))
		}
	}
	for _, bad := range []string{
		"07", "ff", "00050000ff48656c6c6f00", // reserved block type, stored block with a wrong length
		"000500faff", "000500faff48", "000500faff4865", "000500faff486565", "000500faff48656c6c", "000900f6ff", "000a00f5ff", // or without its end
		"f248cdc9c90700" + "ffff", "f348cdc9c907", "f200110000", // something behind; a final block alone; a reference to what was not sent
	} {
		b, _ := hex.DecodeString(bad)
		if got, err := f.Append(nil, b, nil, 1000); !errors.Is(err, deflate.ErrCorrupt) {
			t.Errorf("%s: %q, %v", bad, got, err)
		}
	}
	checkInflates(t, f, "after the corrupt ones", payload, nil, message)
	for _, like := range []string{"\x00\x00\xff\xff", "a\x00\x00\xff\xff", "\x01\x00\xfe\xff\x07\x00\x00\xff\xff"} {
		message := []byte(like)
		checkInflates(t, f, "a message like an ending", deflate.NewDeflater(1, 15).Append(nil, message), nil, message)
		stored := append([]byte{0, byte(len(message)), 0, ^byte(len(message)), 0xff}, message...)
		checkInflates(t, f, "a message like an ending, stored", append(stored, 0), nil, message)
	}
}

// TestBombs stops at the limit, with no more memory than it allows.
func TestBombs(t *testing.T) {
	const limit = 64 << 10
	var ratio bytes.Buffer
	w, _ := stdflate.NewWriter(&ratio, 9)
	_, _ = io.CopyN(w, zeros{}, 64<<20)
	_ = w.Flush()
	tests := []struct {
		name    string
		payload []byte
		err     error
	}{
		{"deep ratio", ratio.Bytes(), deflate.ErrTooLong},
		{"many empty stored blocks", bytes.Repeat([]byte("\x00\x00\x00\xff\xff"), 20_000), deflate.ErrCorrupt},
		{"many empty stored blocks, in good order", append(bytes.Repeat([]byte("\x00\x00\x00\xff\xff"), 20_000), 0), nil},
		{"many streams", bytes.Repeat([]byte("\x03\x00"), 20_000), deflate.ErrCorrupt},
		{"many full windows", bytes.Repeat(ratio.Bytes()[:40], 100), deflate.ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := deflate.NewInflater()
			got, err := f.Append(nil, tt.payload, nil, limit)
			if !errors.Is(err, tt.err) || len(got) > limit+1 || cap(got) > 2*limit {
				t.Errorf("%d bytes in %d: %v", len(got), cap(got), err)
			}
		})
	}
}

// TestManyStreams takes as many streams in a message as are taken, and no
// memory for each, though each may refer to all that is before it (RFC 7692,
// 7.2.3.4).
func TestManyStreams(t *testing.T) {
	window := deflate.NewWindow(15)
	window.Add(samples(40_000)["noise"])
	f := deflate.NewInflater()
	message := make([]byte, 0, 1<<10)
	inflate := func(streams int) error {
		// Empty ones, in two bytes each, and one that is "Hello".
		payload := append(bytes.Repeat([]byte("\x03\x00"), streams-1), "\xf2\x48\xcd\xc9\xc9\x07\x00"...)
		var err error
		message, err = f.Append(message[:0], payload, window, 1<<10)
		return err
	}
	if err := inflate(16); err != nil || string(message) != "Hello" {
		t.Errorf("16 streams: %q, %v", message, err)
	}
	if err := inflate(17); !errors.Is(err, deflate.ErrCorrupt) {
		t.Errorf("17 streams: %v", err)
	}
	// What the streams before one have said counts, too.
	hello, _ := hex.DecodeString("f348cdc9c90700" + "f2001100" + "00")
	checkInflates(t, f, "a stream that refers to the one before", hello, window, []byte("HelloHello"))
	if n := testing.AllocsPerRun(100, func() { _, _ = f.Append(message[:0], hello, window, 1<<10) }); n > 0 {
		t.Errorf("a message of two streams allocates %v times", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestAllocations(t *testing.T) {
	deflater, inflater := deflate.NewDeflater(1, 15), deflate.NewInflater()
	message := samples(2000)["records"]
	payload := deflater.Append(make([]byte, 0, 4096), message)
	plain := make([]byte, 0, 4096)
	window := deflate.NewWindow(15)
	for range 20 {
		window.Add(message)
	}
	if n := testing.AllocsPerRun(500, func() {
		payload = deflater.Append(payload[:0], message)
		var err error
		if plain, err = inflater.Append(plain[:0], payload, nil, len(message)); err != nil {
			t.Fatal(err)
		}
		window.Add(plain)
	}); n != 0 {
		t.Errorf("a message allocates %v times", n)
	}
}

// TestInflateWritesNothingElse keeps what lies behind a payload without room.
func TestInflateWritesNothingElse(t *testing.T) {
	buffer := append(deflate.NewDeflater(1, 15).Append(nil, []byte("Hello")), "next frame"...)
	payload := buffer[: len(buffer)-10 : len(buffer)-10]
	checkInflates(t, deflate.NewInflater(), "in place", payload, nil, []byte("Hello"))
	if !bytes.HasSuffix(buffer, []byte("next frame")) {
		t.Errorf("overwritten: %q", buffer)
	}
}
