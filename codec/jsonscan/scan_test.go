package jsonscan_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"fleetcast/codec/jsonscan"
)

// seeds are texts around every branch of the grammar, valid and not.
var seeds = []string{
	``, ` `, `null`, `true`, `false`, `nul`, `nulL`, `truex`, `fals`, `True`, "\x00",
	`0`, `-0`, `01`, `-`, `-a`, `1.`, `1.5`, `.5`, `1e3`, `1E+3`, `1e-`, `1e`, `0e0`, `0.0`, `-1.25e-7`, `+1`, `1 2`, `0x1`,
	`""`, `"`, `"a`, `"\"`, `"\\"`, `"\x"`, `"\u12"`, `"\u12G4"`, `"\u00e9"`, `"\ud83d\ude00"`, `"\ud800"`, `"\ud800\u0041"`,
	"\"\x1f\"", "\"a\nb\"", "\"\x7f\"", "\"\xff\"", "\"\xc3\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"", `"é"`, `"日本"`, `"😀"`,
	`"1234567"`, `"12345678"`, `"123456789"`, `"\b\f\n\r\t\/"`, "\"123456\xc3\xa9\"", `"` + strings.Repeat("x", 40) + `\"` + strings.Repeat("y", 40) + `"`,
	`"` + strings.Repeat("x", 40) + "\x01" + strings.Repeat("y", 40) + `"`, `"` + strings.Repeat("é", 40) + "\xff" + strings.Repeat("é", 40) + `"`,
	`[]`, `[ ]`, `[1]`, `[1,]`, `[,1]`, `[1 2]`, `[1,2`, `[`, `]`, `[}`, `[[]]`, `[[],[[]],{}]`, `[1}`,
	`{}`, `{ }`, `{"a":1}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`, `{1:1}`, `{"a":1 "b":2}`, `{"a":1,"a":2}`, `{]`,
	" \t\r\n{ \"a\" : [ 1 , { \"b\" : null } ] , \"c\" : \"d\" } \n", `{"a":1}x`, `{} {}`, "\v1", "\u00a01", "\ufeff1",
	`{"channel":"news","data":{"id":1234567,"text":"hello there","n":3.25,"ok":true,"x":[1,2]}}`,
}

func agree(t *testing.T, text []byte) {
	t.Helper()
	want := json.Valid(text) && utf8.Valid(text)
	if got := jsonscan.Valid(text); got != want {
		t.Fatalf("Valid(%.100q) = %v, want %v", text, got, want)
	}
}

func TestValidAgreesWithTheStandardLibrary(t *testing.T) {
	for _, seed := range seeds {
		agree(t, []byte(seed))
		// Every prefix, and every byte replaced by ones that matter to the grammar.
		for i := range len(seed) {
			agree(t, []byte(seed[:i]))
			for _, c := range "\x00\x1f \"\\,:{}[]0u\x7f\x80\xc3\xff" {
				b := []byte(seed)
				b[i] = byte(c)
				agree(t, b)
			}
		}
	}
}

func TestSpecialBytesAtEveryPlaceOfAWord(t *testing.T) {
	for length := range 42 { // past one block of 32 and a word
		for place := range length {
			for c := range 256 {
				text := []byte(`"` + strings.Repeat("a", length) + `"`)
				text[1+place] = byte(c)
				agree(t, text)
			}
		}
	}
}

// TestDepth has values of every depth around the limit, and those that only look deep.
func TestDepth(t *testing.T) {
	shapes := map[string]func(depth int) string{
		"arrays": func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) },
		"objects": func(n int) string {
			return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)
		},
		"mixed": func(n int) string {
			return strings.Repeat(`[{"a":`, n/2) + strings.Repeat("[", n%2) + "1" +
				strings.Repeat("]", n%2) + strings.Repeat("}]", n/2)
		},
		"unclosed":  func(n int) string { return strings.Repeat("[", n) },
		"misclosed": func(n int) string { return strings.Repeat("[", n) + strings.Repeat("}", n) },
	}
	for name, shape := range shapes {
		closed := name != "unclosed" && name != "misclosed"
		for _, depth := range []int{1, 63, 64, 65, 98, 99, 100, 127, 128, 129, 9_999, 10_001, 100_000} {
			valid, deep := jsonscan.Check([]byte(shape(depth)))
			if valid != closed || deep != (closed && depth > jsonscan.MaxDepth) {
				t.Errorf("%s of %d levels: valid %v, deep %v", name, depth, valid, deep)
			}
		}
	}
	wide := "[" + strings.Repeat("[{}],", 1000) + "1]"
	if valid, deep := jsonscan.Check([]byte(wide)); !valid || deep {
		t.Errorf("a wide value: valid %v, deep %v", valid, deep)
	}
}

func TestValue(t *testing.T) {
	tests := []struct {
		text       string
		from       int
		start, end int
		err        error
	}{
		{`1`, 0, 0, 1, nil},
		{` "a" x`, 0, 1, 4, nil},
		{`01`, 0, 0, 1, nil},
		{`[1,{"a":2}],3`, 0, 0, 11, nil},
		{`[1,{"a":2}],3`, 12, 12, 13, nil},
		{`  `, 0, 2, 2, jsonscan.ErrEnd},
		{`1`, 5, 5, 5, jsonscan.ErrEnd},
		{`[1,2`, 0, 0, 4, jsonscan.ErrEnd},
		{`[1 2]`, 0, 0, 3, jsonscan.ErrSyntax},
		{`"ab\q"`, 0, 0, 3, jsonscan.ErrSyntax},
		{`trve`, 0, 0, 2, jsonscan.ErrSyntax},
		{"\"\xff\"", 0, 0, 0, jsonscan.ErrUTF8},
		{"[\"\xff\"]", 0, 0, 0, jsonscan.ErrUTF8},
		{"\"a\"\xff", 0, 0, 3, nil},
	}
	for _, tt := range tests {
		start, end, _, err := jsonscan.Value([]byte(tt.text), tt.from)
		if start != tt.start || end != tt.end || !errors.Is(err, tt.err) {
			t.Errorf("Value(%q, %d) = %d, %d, %v, want %d, %d, %v",
				tt.text, tt.from, start, end, err, tt.start, tt.end, tt.err)
		}
	}
}

func TestScanningAllocatesNothing(t *testing.T) {
	text := []byte(seeds[len(seeds)-1])
	deep := []byte(strings.Repeat("[", jsonscan.MaxDepth) + strings.Repeat("]", jsonscan.MaxDepth))
	broken := []byte("[1,")
	var member jsonscan.Member
	allocs := testing.AllocsPerRun(100, func() {
		jsonscan.Valid(text)
		jsonscan.Valid(deep)
		jsonscan.Valid(broken)
		object := jsonscan.NewObject(text)
		for object.Next(&member) {
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations per run, want 0", allocs)
	}
}

func FuzzValid(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Add([]byte(strings.Repeat(`[{"a":`, 100)))
	f.Fuzz(func(t *testing.T, text []byte) {
		agree(t, text)
		// The same value behind other bytes and before others, which must not matter.
		if start, end, _, err := jsonscan.Value(text, 0); err == nil {
			shifted := append(append([]byte("\xff "), text[:end]...), "\xff\xff\xff\xff\xff\xff\xff\xff"...)
			s, e, _, err := jsonscan.Value(shifted, 1)
			number := end > start && (text[start] == '-' || text[start]-'0' <= 9)
			if err != nil || s != start+2 || e != end+2 && !number {
				t.Fatalf("%q: value at %d..%d, moved by 2 at %d..%d, %v", text, start, end, s, e, err)
			}
		} else if end > len(text) {
			t.Fatalf("%q: stopped at %d of %d", text, end, len(text))
		}
	})
}
