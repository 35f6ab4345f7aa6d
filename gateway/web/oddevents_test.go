package web_test

import (
	"strings"
	"testing"

	"fleetcast/codec/jsonscan"
	"fleetcast/gateway"
)

// TestOddEvents: the script goes on after any event that the gateway takes.
func TestOddEvents(t *testing.T) {
	t.Parallel() // it waits most of the time
	g := startGateway(t)
	client := startClient(t, node(t), "endtoend.mjs", "ws://"+g.ClientAddrs()[0].String()+gateway.Path)
	client.expect("open", "error bad_channel no channel")
	deepest := strings.Repeat("[", jsonscan.MaxDepth) + strings.Repeat("]", jsonscan.MaxDepth)
	for _, test := range []struct{ data, seen string }{
		{deepest, deepest},
		{`[1e400,-1e-400]`, `[null,0]`}, // JavaScript's numbers end at 1.8e308; JSON has no -0 in its words
		{strings.Repeat("9", 400), "null"},
		{`["\ud800"]`, `["\ud800"]`},
		{`{"a":1,"a":2}`, `{"a":2}`},
		{"[\"\u2028\"]", "[\"\u2028\"]"},
		{`{"__proto__":1}`, `{"__proto__":1}`},
		{`"` + strings.Repeat("x", 32<<10) + `"`, `"` + strings.Repeat("x", 32<<10) + `"`}, // longer ones the reader of its output does not take
	} {
		publish(t, g, test.data)
		_, _, got := cutEvent(client.next())
		if got != test.seen {
			t.Errorf("the script makes %.80s of %.80s", got, test.data)
		}
	}
	client.end()
}

// cutEvent takes a line apart that testdata/endtoend.mjs writes for an event.
func cutEvent(line string) (channel, offset, data string) {
	words := strings.SplitN(line, " ", 4)
	if len(words) != 4 || words[0] != "event" {
		return "", "", line
	}
	return words[1], words[2], words[3]
}
