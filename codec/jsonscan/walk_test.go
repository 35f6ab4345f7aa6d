package jsonscan_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"fleetcast/codec/jsonscan"
)

func TestObject(t *testing.T) {
	tests := []struct {
		text    string
		members []string // key and value in turn
		err     error
		offset  int
	}{
		{text: `{}`, offset: 2},
		{text: " { } \n", offset: 6},
		{text: `{"a":1}`, members: []string{"a", "1"}, offset: 7},
		{text: ` { "a" : [1, 2] , "b" : "x" } `, members: []string{"a", "[1, 2]", "b", `"x"`}, offset: 30},
		{text: `{"a":1,"a":2}`, members: []string{"a", "1", "a", "2"}, offset: 13},
		{text: `{"\u0061\n":1}`, members: []string{"a\n", "1"}, offset: 14},
		{text: ``, err: jsonscan.ErrEnd},
		{text: `[]`, err: jsonscan.ErrSyntax},
		{text: `{`, err: jsonscan.ErrEnd, offset: 1},
		{text: `{"a":1`, members: []string{"a", "1"}, err: jsonscan.ErrEnd, offset: 6},
		{text: `{"a":1,}`, members: []string{"a", "1"}, err: jsonscan.ErrSyntax, offset: 7},
		{text: `{"a":1 "b":2}`, members: []string{"a", "1"}, err: jsonscan.ErrSyntax, offset: 7},
		{text: `{"a":01}`, members: []string{"a", "0"}, err: jsonscan.ErrSyntax, offset: 6},
		{text: `{"a":1}}`, members: []string{"a", "1"}, err: jsonscan.ErrSyntax, offset: 7},
		{text: `{"a"}`, err: jsonscan.ErrSyntax, offset: 4},
		{text: "{\"\xff\":1}", err: jsonscan.ErrUTF8, offset: 1},
		{text: "{\"a\":\"\xff\"}", err: jsonscan.ErrUTF8, offset: 5},
		{text: `{"a":` + strings.Repeat("[", jsonscan.MaxDepth+1), err: jsonscan.ErrEnd, offset: 6 + jsonscan.MaxDepth},
	}
	for _, tt := range tests {
		object := jsonscan.NewObject([]byte(tt.text))
		var m jsonscan.Member
		var members []string
		for object.Next(&m) {
			members = append(members, string(m.Key), string(m.Value))
		}
		if object.Next(&m) {
			t.Errorf("%.40q: Next goes on after the end", tt.text)
		}
		if !slices.Equal(members, tt.members) || !errors.Is(object.Err(), tt.err) || object.Offset() != tt.offset {
			t.Errorf("%.40q: %q, %v at %d, want %q, %v at %d",
				tt.text, members, object.Err(), object.Offset(), tt.members, tt.err, tt.offset)
		}
	}
}

func TestArray(t *testing.T) {
	tests := []struct {
		text     string
		elements []string
		err      error
	}{
		{text: `[]`},
		{text: ` [ 1 , "b" , [ ] ] `, elements: []string{`1`, `"b"`, `[ ]`}},
		{text: `{}`, err: jsonscan.ErrSyntax},
		{text: `[1,]`, elements: []string{`1`}, err: jsonscan.ErrSyntax},
		{text: `[1] 2`, elements: []string{`1`}, err: jsonscan.ErrSyntax},
		{text: `[1,`, elements: []string{`1`}, err: jsonscan.ErrEnd},
	}
	for _, tt := range tests {
		array := jsonscan.NewArray([]byte(tt.text))
		var raw []byte
		var elements []string
		for array.Next(&raw) {
			elements = append(elements, string(raw))
		}
		if !slices.Equal(elements, tt.elements) || !errors.Is(array.Err(), tt.err) {
			t.Errorf("%q: %q, %v, want %q, %v", tt.text, elements, array.Err(), tt.elements, tt.err)
		}
	}
}

// TestDeepMembers has a walk over members at the limit, beyond it, and then at it again.
func TestDeepMembers(t *testing.T) {
	nested := func(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
	object := jsonscan.NewObject([]byte(`{"a":` + nested(jsonscan.MaxDepth) + `,"b":` + nested(jsonscan.MaxDepth+1) +
		`,"c":` + nested(50_000) + `,"d":` + nested(jsonscan.MaxDepth) + `}`))
	var m jsonscan.Member
	for _, want := range []struct {
		key  string
		deep bool
	}{{"a", false}, {"b", true}, {"c", true}, {"d", false}} {
		if !object.Next(&m) || string(m.Key) != want.key || m.Deep != want.deep {
			t.Fatalf("member %q, deep %v, %v; want %+v", m.Key, m.Deep, object.Err(), want)
		}
	}
	if object.Next(&m) || object.Err() != nil {
		t.Errorf("the end is %v", object.Err())
	}
}

// FuzzObject compares the walk with encoding/json's token stream.
func FuzzObject(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
		f.Add([]byte(`{"a":` + seed + `,"b\n":2}`))
		f.Add([]byte(`[` + seed + `]`))
	}
	for _, depth := range []int{jsonscan.MaxDepth, jsonscan.MaxDepth + 1} {
		f.Add([]byte(strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth)))
		f.Add([]byte(strings.Repeat("[", depth) + strings.Repeat("]", depth)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		valid := json.Valid(text) && utf8.Valid(text)
		first := strings.TrimLeft(string(text), " \t\r\n")
		object := jsonscan.NewObject(text)
		var m jsonscan.Member
		var members []string
		for object.Next(&m) {
			members = append(members, string(m.Key), compact(t, m.Value))
		}
		if want := valid && first[0] == '{'; (object.Err() == nil) != want {
			t.Fatalf("Object of %q: %v, valid object: %v", text, object.Err(), want)
		}
		if object.Err() == nil {
			if want := standardMembers(t, text); !slices.Equal(members, want) {
				t.Fatalf("Object of %q: %q, want %q", text, members, want)
			}
		}
		array := jsonscan.NewArray(text)
		var raw []byte
		for array.Next(&raw) {
			compact(t, raw)
		}
		if want := valid && first[0] == '['; (array.Err() == nil) != want {
			t.Fatalf("Array of %q: %v, valid array: %v", text, array.Err(), want)
		}
	})
}

func standardMembers(t *testing.T, text []byte) (members []string) {
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		members = append(members, key.(string), compact(t, value))
	}
	return members
}

// compact checks that a value handed out is valid by itself and has no white space around it.
func compact(t *testing.T, value []byte) string {
	if !jsonscan.Valid(value) || strings.TrimSpace(string(value)) != string(value) {
		t.Fatalf("value %q is not one bare value", value)
	}
	return string(value)
}
