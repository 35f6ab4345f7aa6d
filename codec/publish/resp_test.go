package publish_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fleetcast/codec/publish"
)

var limits = publish.RESPLimits{Args: 8, Bulk: 100, Command: 400}

// commands passes a stream through a RESPCommand in pieces, keeping leftovers as a connection does. Each
// entry is a command's arguments, quoted, or the error that ends the stream.
func commands(t *testing.T, stream []byte, pieces func() int) (got []string) {
	t.Helper()
	var c publish.RESPCommand
	var kept []byte
	need := 1
	for len(stream) > 0 {
		size := min(pieces(), len(stream))
		kept = append(kept, stream[:size]...)
		stream = stream[size:]
		for {
			n, err := c.Parse(kept, limits)
			if err != nil {
				var protocol publish.ProtocolError
				if !errors.As(err, &protocol) || !strings.HasPrefix(err.Error(), "Protocol error: ") {
					t.Fatalf("error %T: %v", err, err)
				}
				return append(got, err.Error())
			}
			if n == 0 {
				if c.Need <= len(kept) || len(c.Args) != 0 {
					t.Fatalf("incomplete with %d bytes, needs %d, %d arguments", len(kept), c.Need, len(c.Args))
				}
				need = c.Need
				break
			}
			if len(kept) < need {
				t.Fatalf("complete with %d bytes after asking for %d", len(kept), need)
			}
			if n > len(kept) {
				t.Fatalf("consumed %d of %d", n, len(kept))
			}
			got = append(got, fmt.Sprintf("%q", c.Args))
			kept = slices.Clone(kept[n:])
			need = 1
		}
	}
	return got
}

var respTests = []struct {
	stream string
	want   []string
}{
	{"*1\r\n$4\r\nPING\r\n", []string{`["PING"]`}},
	{"*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$7\r\n{\"a\":1}\r\n*1\r\n$4\r\nQUIT\r\n", []string{`["PUBLISH" "news" "{\"a\":1}"]`, `["QUIT"]`}},
	{"*2\r\n$0\r\n\r\n$4\r\n\r\n\x00\xff\r\n", []string{`["" "\r\n\x00\xff"]`}},
	{"*0\r\n*-1\r\n*-7\r\nPING\r\n", []string{`[]`, `[]`, `[]`, `["PING"]`}},
	{"PING\n", []string{`["PING"]`}},
	{"\r\n\n  \r\nPUBLISH news  hello\t\r\n", []string{`[]`, `[]`, `[]`, `["PUBLISH" "news" "hello"]`}},
	{"*8\r\n" + strings.Repeat("$0\r\n\r\n", 8), []string{`["" "" "" "" "" "" "" ""]`}},
	{"*1\r\n$100\r\n" + strings.Repeat("x", 100) + "\r\n", []string{`["` + strings.Repeat("x", 100) + `"]`}},
	{"*1\r\n$4\r\nPIN", nil},
	{"*1\r\n", nil},
	{"PING", nil},

	{"*9\r\n", []string{"Protocol error: invalid multibulk length"}},
	{"*a\r\n", []string{"Protocol error: invalid multibulk length"}},
	{"*\r\n", []string{"Protocol error: invalid multibulk length"}},
	{"*+1\r\n", []string{"Protocol error: invalid multibulk length"}},
	{"*01\r\n", []string{"Protocol error: invalid multibulk length"}},
	{"*-0\r\n", []string{"Protocol error: invalid multibulk length"}},
	{"*-\r\n", []string{"Protocol error: invalid multibulk length"}},
	{"*1\n", []string{"Protocol error: invalid multibulk length"}},
	{"*1\rx", []string{"Protocol error: invalid multibulk length"}},
	{"*99999999999999999999999999", []string{"Protocol error: invalid multibulk length"}},
	{"*18446744073709551617\r\n", []string{"Protocol error: invalid multibulk length"}},
	{"*00000000000000000000000", []string{"Protocol error: invalid multibulk length"}},
	{"*1\r\n$101\r\n", []string{"Protocol error: invalid bulk length"}},
	{"*1\r\n$-1\r\n", []string{"Protocol error: invalid bulk length"}},
	{"*1\r\n$\r\n", []string{"Protocol error: invalid bulk length"}},
	{"*1\r\n$1x\r\n", []string{"Protocol error: invalid bulk length"}},
	{"*1\r\n$04\r\nPING\r\n", []string{"Protocol error: invalid bulk length"}},
	{"*1\r\n$9999999999999999999999\r\n", []string{"Protocol error: invalid bulk length"}},
	{"*1\r\n$3\r\nPING\r\n", []string{"Protocol error: invalid bulk length"}},
	{"*5\r\n" + strings.Repeat("$100\r\n"+strings.Repeat("x", 100)+"\r\n", 3) + "$100\r\n", []string{"Protocol error: invalid bulk length"}},
	{"*1\r\nxPING\r\n", []string{"Protocol error: expected '$', got 'x'"}},
	{"*1\r\n\r\n", []string{"Protocol error: expected '$', got '?'"}},
	{"PING\r\n*1\r\n:1\r\n", []string{`["PING"]`, "Protocol error: expected '$', got ':'"}},
	{"a \"b\r\n", []string{"Protocol error: unbalanced quotes in request"}},
	{"1 2 3 4 5 6 7 8 9\r\n", []string{"Protocol error: too big inline request"}},
	{strings.Repeat("x", 64<<10) + "\n", []string{`["` + strings.Repeat("x", 64<<10) + `"]`}},
	{strings.Repeat("x", 64<<10+1), []string{"Protocol error: too big inline request"}},
	{strings.Repeat("x", 64<<10+1) + "\n", []string{"Protocol error: too big inline request"}},
}

func TestRESP(t *testing.T) {
	for _, tt := range respTests {
		sizes := map[string]func() int{"whole": all, "bytes": one, "threes": func() int { return 3 }}
		if len(tt.stream) > 1000 {
			sizes = map[string]func() int{"whole": all, "pages": func() int { return 4096 }}
		}
		for name, pieces := range sizes {
			if got := commands(t, []byte(tt.stream), pieces); !slices.Equal(got, tt.want) {
				t.Errorf("%.60q in %s: %.200q, want %.200q", tt.stream, name, got, tt.want)
			}
		}
	}
}

// Lengths of one and two digits are read in a way of their own.
func TestRESPLengths(t *testing.T) {
	for length := range 101 {
		text := strings.Repeat("x", length)
		stream := fmt.Sprintf("*1\r\n$%d\r\n%s\r\n", length, text)
		for name, pieces := range map[string]func() int{"whole": all, "bytes": one} {
			if got, want := commands(t, []byte(stream), pieces), fmt.Sprintf("[%q]", text); !slices.Equal(got, []string{want}) {
				t.Errorf("%q in %s: %q, want %q", stream, name, got, want)
			}
		}
	}
	for _, header := range []string{"00", "07", "0x", "1\n", "1\rx", "12\n", "12\rx", "1:", ":1", "/1", "1/", "-1"} {
		if got := commands(t, []byte("*1\r\n$"+header+"\r\n"+strings.Repeat("x", 20)), all); !slices.Equal(got, []string{"Protocol error: invalid bulk length"}) {
			t.Errorf("the length %q: %q", header, got)
		}
	}
}

func TestInline(t *testing.T) {
	tests := []struct{ line, want string }{
		{`PING`, `["PING"]`},
		{`a "b c" d`, `["a" "b c" "d"]`},
		{`"\x41\x6a\n\r\t\b\a\"\\\q\xg1"`, `["Aj\n\r\t\b\a\"\\qxg1"]`},
		{`'b "c" \n \' d'`, `["b \"c\" \\n ' d"]`},
		{`pre"quoted" x`, `["prequoted" "x"]`},
		{`"" ''`, `["" ""]`},
		{"a\vb \v\fc", `["a\vb" "c"]`},
		{"a\x00b c", `["a"]`},
		{`"a"b`, ""},
		{`'a'b`, ""},
		{`"a""b"`, ""},
		{`"a`, ""},
		{`'a`, ""},
		{`"a\"`, ""},
		{`"a\`, ""},
		{`'a\'`, ""},
		{"\"a\x00\"", ""},
	}
	for _, tt := range tests {
		var c publish.RESPCommand
		n, err := c.Parse([]byte(tt.line+"\r\n"), limits)
		if tt.want == "" {
			if err != publish.ErrUnbalancedQuotes {
				t.Errorf("%q: %q, %v, want unbalanced quotes", tt.line, c.Args, err)
			}
			continue
		}
		if got := fmt.Sprintf("%q", c.Args); err != nil || n != len(tt.line)+2 || got != tt.want || !c.Inline {
			t.Errorf("%q: %s, %d, %v, inline %v, want %s", tt.line, got, n, err, c.Inline, tt.want)
		}
	}
}

func TestRESPDefaultLimits(t *testing.T) {
	var c publish.RESPCommand
	for stream, want := range map[string]error{
		"*1024\r\n":                       nil,
		"*1025\r\n":                       publish.ErrMultibulkLength,
		"*1\r\n$65536\r\n":                nil,
		"*1\r\n$65537\r\n":                publish.ErrBulkLength,
		"*2147483648\r\n":                 publish.ErrMultibulkLength,
		"*1\r\n$9223372036854775807\r\n":  publish.ErrBulkLength,
		"*1\r\n$-9223372036854775808\r\n": publish.ErrBulkLength,
	} {
		if n, err := c.Parse([]byte(stream), publish.RESPLimits{}); n != 0 || err != want {
			t.Errorf("%q: %d, %v, want %v", stream, n, err, want)
		}
	}
}

// A caller that waits for Need must not parse a command more often than it has arguments, whatever
// the pieces in which it arrives.
func TestRESPNeedBoundsTheNumberOfParses(t *testing.T) {
	for name, args := range map[string][]string{
		"one large":  {"PUBLISH", "news", strings.Repeat("x", 60<<10)},
		"many small": strings.Split(strings.Repeat("x", 1000), ""),
		"many empty": make([]string, 1000),
	} {
		stream := encodeRESP(args)
		var c publish.RESPCommand
		parses, need := 0, 1
		for arrived := 1; arrived <= len(stream); arrived++ {
			if arrived < need {
				continue
			}
			n, err := c.Parse(stream[:arrived], publish.RESPLimits{})
			if err != nil || (n != 0) != (arrived == len(stream)) {
				t.Fatalf("%s: %d of %d bytes: %d, %v", name, arrived, len(stream), n, err)
			}
			parses++
			need = c.Need
		}
		if parses > 60 {
			t.Errorf("%s: %d parses for %d bytes", name, parses, len(stream))
		}
	}
}

func encodeRESP(args []string) []byte {
	stream := publish.AppendRESPArray(nil, len(args))
	for _, arg := range args {
		stream = publish.AppendRESPBulk(stream, arg)
	}
	return stream
}

func TestRESPReplies(t *testing.T) {
	tests := []struct {
		got  []byte
		want string
	}{
		{publish.AppendRESPInt(nil, 1200), ":1200\r\n"},
		{publish.AppendRESPInt(nil, -1), ":-1\r\n"},
		{publish.AppendRESPSimple(nil, "OK"), "+OK\r\n"},
		{publish.AppendRESPError(nil, "ERR unknown command 'a\r\n+b'"), "-ERR unknown command 'a  +b'\r\n"},
		{publish.AppendRESPBulk(nil, "a\r\n"), "$3\r\na\r\n\r\n"},
		{publish.AppendRESPBulk(nil, []byte{}), "$0\r\n\r\n"},
		{publish.AppendRESPNull(nil, publish.RESP2), "$-1\r\n"},
		{publish.AppendRESPNull(nil, publish.RESP3), "_\r\n"},
		{publish.AppendRESPArray(nil, 0), "*0\r\n"},
		{publish.AppendRESPMap(nil, publish.RESP2, 7), "*14\r\n"},
		{publish.AppendRESPMap(nil, publish.RESP3, 7), "%7\r\n"},
	}
	for _, tt := range tests {
		if string(tt.got) != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

func FuzzRESP(f *testing.F) {
	for _, tt := range respTests {
		if len(tt.stream) < 1000 {
			f.Add([]byte(tt.stream), uint64(1))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		whole := commands(t, stream, all)
		if got := commands(t, stream, one); !slices.Equal(got, whole) {
			t.Fatalf("%q byte by byte: %q, whole: %q", stream, got, whole)
		}
		if got := commands(t, stream, func() int { return 1 + random.IntN(9) }); !slices.Equal(got, whole) {
			t.Fatalf("%q in pieces: %q, whole: %q", stream, got, whole)
		}
		roundTrip(t, stream, random)
	})
}

// roundTrip encodes the stream's own bytes, cut at random, as a command's arguments.
func roundTrip(t *testing.T, stream []byte, random *rand.Rand) {
	var args []string
	for rest := string(stream); rest != "" && len(args) < 1024; {
		n := 1 + random.IntN(min(len(rest), 60))
		args = append(args, rest[:n])
		rest = rest[n:]
	}
	text := encodeRESP(args)
	var c publish.RESPCommand
	n, err := c.Parse(append(slices.Clone(text), "*1\r\n"...), publish.RESPLimits{Bulk: 60, Command: 1 << 20})
	if err != nil || n != len(text) || fmt.Sprintf("%q", c.Args) != fmt.Sprintf("%q", args) {
		t.Fatalf("%q came back as %q, %d of %d, %v", args, c.Args, n, len(text), err)
	}
}

// FuzzInline checks that a word survives quoting, and that no line does harm.
func FuzzInline(f *testing.F) {
	for _, seed := range []string{"", "PING", `a "b c"`, `'it\'s'`, `"\x41\n"`, "\x00\xff", `"a"b`, "a\\"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, word []byte) {
		if len(word) > 10000 {
			return
		}
		var c publish.RESPCommand
		_, _ = c.Parse(append(slices.Clone(word), '\n'), limits)
		line := []byte(`ECHO "`)
		for _, b := range word {
			line = fmt.Appendf(line, `\x%02x`, b)
		}
		line = append(line, "\" end\r\n"...)
		n, err := c.Parse(line, limits)
		if err != nil || n != len(line) || len(c.Args) != 3 || string(c.Args[1]) != string(word) || string(c.Args[2]) != "end" {
			t.Fatalf("%q: %q, %d, %v", line, c.Args, n, err)
		}
	})
}
