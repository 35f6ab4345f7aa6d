package jsonscan_test

import (
	"bytes"
	"encoding/json"
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
		{`"\ud800"`, "\ufffd"},
		{`"\ud800\u0041"`, "\ufffdA"},
		{`"\ud800\ud800\udc00"`, "\ufffd\U00010000"},
		{`"\udc00x"`, "\ufffdx"},
		{`"\ud800\n"`, "\ufffd\n"},
	}
	var u jsonscan.Unquoter
	for _, tt := range tests {
		got, err := jsonscan.Unquote([]byte(tt.raw))
		text, ok := u.Text([]byte(tt.raw))
		if err != nil || !ok || string(got) != tt.want || string(text) != tt.want {
			t.Errorf("Unquote(%s) = %q, %v; Text = %q, %v; want %q", tt.raw, got, err, text, ok, tt.want)
		}
	}
	for _, raw := range []string{"", `"`, "1", "null", "[]", "{}"} {
		if _, err := jsonscan.Unquote([]byte(raw)); err == nil {
			t.Errorf("Unquote(%s) succeeds", raw)
		}
		if _, ok := u.Text([]byte(raw)); ok {
			t.Errorf("Text(%s) succeeds", raw)
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
		if guard := buf[len(raw)-1:]; len(bytes.Trim(guard, "\xaa")) != 0 {
			t.Fatalf("AppendUnquoted(%s) wrote beyond its room: %x", raw, guard)
		}
	})
}
