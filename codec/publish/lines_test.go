package publish_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fleetcast/codec/publish"
)

// feed passes a stream through a Lines in pieces of the given sizes, in turn, keeping leftovers as a
// connection does, and ends it. Each entry is a line with its number, or "N too long".
func feed(t *testing.T, stream []byte, limit int, pieces func() int) (got []string) {
	t.Helper()
	lines := publish.Lines{Limit: limit}
	note := func(line []byte, status publish.Status) {
		switch status {
		case publish.Line:
			got = append(got, fmt.Sprintf("%d %s", lines.Number(), line))
		case publish.TooLong:
			got = append(got, fmt.Sprintf("%d too long", lines.Number()))
		}
	}
	var kept []byte
	for len(stream) > 0 {
		size := min(pieces(), len(stream))
		kept = append(kept, stream[:size]...)
		stream = stream[size:]
		for status := publish.Line; status != publish.Incomplete; {
			var line []byte
			var n int
			line, n, status = lines.Next(kept)
			if n < 0 || n > len(kept) {
				t.Fatalf("consumed %d of %d", n, len(kept))
			}
			note(line, status)
			kept = slices.Clone(kept[n:]) // so that a line kept for too long would show
		}
		if len(kept) > limit+1 {
			t.Fatalf("%d bytes left over, the limit is %d", len(kept), limit)
		}
	}
	note(lines.End(kept))
	return got
}

func all() int { return 1 << 30 }
func one() int { return 1 }

func TestLines(t *testing.T) {
	tests := []struct {
		stream string
		want   []string
	}{
		{"", nil},
		{"a\n", []string{"1 a"}},
		{"a\r\nb\n", []string{"1 a", "2 b"}},
		{"a", []string{"1 a"}},
		{"a\r", []string{"1 a"}},
		{"\n\r\n \t\na\n\n", []string{"4 a"}},
		{"a\rb\n", []string{"1 a\rb"}},
		{"12345678\n", []string{"1 12345678"}},
		{"12345678\r\n", []string{"1 12345678"}},
		{"12345678", []string{"1 12345678"}},
		{"12345678\r", []string{"1 12345678"}},
		{"123456789\nb\n", []string{"1 too long", "2 b"}},
		{"123456789\r\nb\n", []string{"1 too long", "2 b"}},
		{"123456789", []string{"1 too long"}},
		{"12345678\r\r\nb", []string{"1 too long", "2 b"}},
		{"a\n" + strings.Repeat("x", 1000) + "\n\nb\n", []string{"1 a", "2 too long", "4 b"}},
		{strings.Repeat("x", 1000), []string{"1 too long"}},
		{strings.Repeat(" ", 8), nil},
		{strings.Repeat(" ", 9), []string{"1 too long"}},
		{strings.Repeat(" ", 1000) + "\nb\n", []string{"1 too long", "2 b"}},
	}
	for _, tt := range tests {
		for name, pieces := range map[string]func() int{"whole": all, "bytes": one} {
			if got := feed(t, []byte(tt.stream), 8, pieces); !slices.Equal(got, tt.want) {
				t.Errorf("%.40q in %s: %q, want %q", tt.stream, name, got, tt.want)
			}
		}
	}
}

func TestLinesCountWhatSniffSkipped(t *testing.T) {
	stream := []byte("\r\n \n{}\n")
	_, skip := publish.Sniff(stream)
	lines := publish.Lines{Limit: 8}
	lines.Discarded(stream[:skip])
	if line, n, status := lines.Next(stream[skip:]); string(line) != "{}" || n != 3 || status != publish.Line || lines.Number() != 3 {
		t.Errorf("line %d %q, %d, %d, want line 3 {}", lines.Number(), line, n, status)
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\r\nbb\n\n"+strings.Repeat("x", 30)+"\nc"), uint8(8), uint64(1))
	f.Add([]byte("{\"id\":1}\n{\"id\":2}\r\n"), uint8(16), uint64(2))
	f.Add([]byte("12345678\r\n123456789\r\n"), uint8(8), uint64(3))
	f.Fuzz(func(t *testing.T, stream []byte, limit uint8, seed uint64) {
		want := naiveLines(stream, int(limit))
		random := rand.New(rand.NewPCG(seed, 0))
		for name, pieces := range map[string]func() int{
			"whole": all, "bytes": one, "pieces": func() int { return 1 + random.IntN(12) },
		} {
			if got := feed(t, stream, int(limit), pieces); !slices.Equal(got, want) {
				t.Fatalf("%q in %s, limit %d: %q, want %q", stream, name, limit, got, want)
			}
		}
	})
}

func naiveLines(stream []byte, limit int) (lines []string) {
	for i, line := range bytes.Split(stream, []byte("\n")) {
		line = bytes.TrimSuffix(line, []byte("\r"))
		switch {
		case len(line) > limit:
			lines = append(lines, fmt.Sprintf("%d too long", i+1))
		case len(bytes.Trim(line, " \t\r")) > 0:
			lines = append(lines, fmt.Sprintf("%d %s", i+1, line))
		}
	}
	return lines
}
