package jsonscan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"fleetcast/codec/jsonscan"
)

func TestAppendString(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", `""`},
		{"news", `"news"`},
		{`a"b\c/d`, `"a\"b\\c/d"`},
		{"\b\f\n\r\t", `"\b\f\n\r\t"`},
		{"\x00\x1f\x7f", "\"\\u0000\\u001f\x7f\""},
		{"<é日😀\u2028>", "\"<é日😀\u2028>\""},
		{"1234567\"12345678\n", `"1234567\"12345678\n"`},
	}
	for _, tt := range tests {
		if got := string(jsonscan.AppendString([]byte("x"), tt.text)); got != "x"+tt.want {
			t.Errorf("AppendString(%q) = %s, want x%s", tt.text, got, tt.want)
		}
		if got := string(jsonscan.AppendString(nil, []byte(tt.text))); got != tt.want {
			t.Errorf("AppendString of bytes %q = %s, want %s", tt.text, got, tt.want)
		}
	}
}

func TestUnquote(t *testing.T) {
	tests := []struct{ raw, want string }{
		{`""`, ""},
		{`"news"`, "news"},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t"},
		{`"\u0041\u00e9\u65e5\ud83d\ude00"`, "Aé日😀"},
		{`"\\ud800\\\"ud800\uFFFD"`, `\ud800\"ud800` + "\ufffd"},
		{`"\uDBFF\uDFFF\ud800\udc00x"`, "\U0010ffff\U00010000x"},
	}
	var u jsonscan.Unquoter
	for _, tt := range tests {
		got, err := jsonscan.Unquote([]byte(tt.raw))
		text, textErr := u.Text([]byte(tt.raw))
		if err != nil || textErr != nil || string(got) != tt.want || string(text) != tt.want {
			t.Errorf("Unquote(%s) = %q, %v; Text = %q, %v; want %q", tt.raw, got, err, text, textErr, tt.want)
		}
	}
	for _, raw := range []string{"", `"`, "1", "null", "[]", "{}"} {
		if _, err := jsonscan.Unquote([]byte(raw)); err == nil {
			t.Errorf("Unquote(%s) succeeds", raw)
		}
		if _, err := u.Text([]byte(raw)); err == nil {
			t.Errorf("Text(%s) succeeds", raw)
		}
	}
}

// TestHalvesOfSurrogatePairsAreNoText has strings that a lossy reading makes the same.
func TestHalvesOfSurrogatePairsAreNoText(t *testing.T) {
	var u jsonscan.Unquoter
	for raw, want := range map[string]struct{ bytes, shown string }{
		`"\ud800"`:              {"\xed\xa0\x80", "\ufffd"},
		`"\uDFFF"`:              {"\xed\xbf\xbf", "\ufffd"},
		`"\ud800\u0041"`:        {"\xed\xa0\x80A", "\ufffdA"},
		`"\ud800\ud800\udc00"`:  {"\xed\xa0\x80\U00010000", "\ufffd\U00010000"},
		`"\udc00\ud800"`:        {"\xed\xb0\x80\xed\xa0\x80", "\ufffd\ufffd"},
		`"\udc00x"`:             {"\xed\xb0\x80x", "\ufffdx"},
		`"\ud800\n"`:            {"\xed\xa0\x80\n", "\ufffd\n"},
		`"a\n\"\ud800xud800xx"`: {"a\n\"\xed\xa0\x80xud800xx", "a\n\"\ufffdxud800xx"},
	} {
		if text, err := jsonscan.Unquote([]byte(raw)); !errors.Is(err, jsonscan.ErrSurrogate) || string(text) != want.bytes {
			t.Errorf("Unquote(%s): %q, %v", raw, text, err)
		}
		if text, err := u.Text([]byte(raw)); !errors.Is(err, jsonscan.ErrSurrogate) || string(text) != want.bytes {
			t.Errorf("Text(%s): %q, %v", raw, text, err)
		}
		if shown := string(jsonscan.AppendUnquoted(nil, []byte(raw))); shown != want.shown {
			t.Errorf("AppendUnquoted(%s) = %q, want %q", raw, shown, want.shown)
		}
	}
}

func TestUnquoterKeepsEarlierTexts(t *testing.T) {
	var u jsonscan.Unquoter
	var texts [][]byte
	for range 100 {
		text, _ := u.Text([]byte(`"\u0041` + strings.Repeat("b", len(texts)) + `"`))
		texts = append(texts, text)
	}
	for i, text := range texts {
		if want := "A" + strings.Repeat("b", i); string(text) != want {
			t.Errorf("text %d = %q, want %q", i, text, want)
		}
	}
}

func TestUint(t *testing.T) {
	tests := []struct {
		raw  string
		want uint64
		ok   bool
	}{
		{"0", 0, true}, {"7", 7, true}, {"9007199254740991", jsonscan.MaxUint, true},
		{"9007199254740992", 0, false}, {"90071992547409910", 0, false}, {"9999999999999999", 0, false},
		{"", 0, false}, {"-0", 0, false}, {"-1", 0, false}, {"+1", 0, false}, {"01", 0, false}, {"00", 0, false},
		{"1.0", 0, false}, {"1e3", 0, false}, {"1 ", 0, false}, {`"1"`, 0, false}, {"null", 0, false}, {"true", 0, false},
		{"99999999999999999999999999", 0, false},
	}
	for _, tt := range tests {
		got, ok := jsonscan.Uint([]byte(tt.raw))
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("Uint(%q) = %d, %v, want %d, %v", tt.raw, got, ok, tt.want, tt.ok)
		}
	}
}

func TestTextAllocatesNothing(t *testing.T) {
	text, raw := []byte("a \"quoted\"\nchannel"), []byte(`"a \"quoted\"\nchannel"`)
	dst := make([]byte, 0, 256)
	var u jsonscan.Unquoter
	allocs := testing.AllocsPerRun(100, func() {
		dst = jsonscan.AppendString(dst[:0], text)
		dst = jsonscan.AppendString(dst[:0], "channel")
		u.Reset()
		u.Text(raw)
	})
	if allocs != 0 {
		t.Errorf("%v allocations per run, want 0", allocs)
	}
}

func FuzzAppendString(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			t.Skip("the contract asks for valid UTF-8")
		}
		raw := jsonscan.AppendString(nil, text)
		var back string
		if err := json.Unmarshal(raw, &back); err != nil || back != text {
			t.Fatalf("AppendString(%q) = %s, which decodes to %q, %v", text, raw, back, err)
		}
		if !bytes.Equal(raw, jsonscan.AppendString(nil, []byte(text))) {
			t.Fatalf("AppendString(%q) differs between string and bytes", text)
		}
		if got, err := jsonscan.Unquote(raw); err != nil || string(got) != text {
			t.Fatalf("Unquote(%s) = %q, %v, want %q", raw, got, err, text)
		}
	})
}

var escapes = regexp.MustCompile(`\\(u[0-9a-fA-F]{4}|.)`)

// FuzzUnquote compares with encoding/json, and looks for writes beyond the string's own length.
func FuzzUnquote(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
		f.Add([]byte(`"` + seed + `"`))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want string
		if !jsonscan.Valid(raw) || !jsonscan.IsString(raw) || raw[len(raw)-1] != '"' || json.Unmarshal(raw, &want) != nil {
			t.Skip("not a bare string")
		}
		buf := bytes.Repeat([]byte{0xaa}, len(raw)+64)
		got := jsonscan.AppendUnquoted(buf[:1:1+len(raw)-2], raw)
		if string(got[1:]) != want || got[0] != 0xaa {
			t.Fatalf("AppendUnquoted(%s) = %q, want %q", raw, got[1:], want)
		}
		// Text takes it unless the reading above has put U+FFFD where the string has none.
		written := strings.Count(string(raw), "\ufffd")
		for _, escape := range escapes.FindAllString(string(raw), -1) {
			if strings.EqualFold(escape, `\ufffd`) {
				written++
			}
		}
		text, err := jsonscan.Unquote(raw)
		if isText := strings.Count(want, "\ufffd") == written; (err == nil) != isText || isText && string(text) != want || utf8.Valid(text) != isText {
			t.Fatalf("Unquote(%s) = %q, %v; it is text: %v", raw, text, err, isText)
		}
		if guard := buf[len(raw)-1:]; len(bytes.Trim(guard, "\xaa")) != 0 {
			t.Fatalf("AppendUnquoted(%s) wrote beyond its room: %x", raw, guard)
		}
	})
}
