package command_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fleetcast/codec/command"
)

// objects is the member channels with n objects, of which each third one has a position, one a
// number of events, and one neither.
func objects(n int) string {
	var b strings.Builder
	separator := "["
	for i := range n {
		start := [...]string{`,"since":{"epoch":"Zx3k\u0041","offset":17}`, `,"last":20`, ``}[i%3]
		fmt.Fprintf(&b, `%s{"channel":"c%d"%s}`, separator, i, start)
		separator = ","
	}
	return b.String() + "]"
}

// objectStarts are the starts of objects, where the message says last, or else nothing.
func objectStarts(n int, last string) (channels, starts []string) {
	for i := range n {
		channels = append(channels, fmt.Sprint("c", i))
		starts = append(starts, [...]string{"Zx3kA@17", "last 20", last}[i%3])
	}
	return channels, starts
}

// subscribed is the outcome of a subscribe to channels, each with its start.
func subscribed(pairs ...string) (o outcome) {
	o.typ = command.Subscribe
	for pair := range slices.Chunk(pairs, 2) {
		o.channels, o.starts = append(o.channels, pair[0]), append(o.starts, pair[1])
	}
	return o
}

func manySubscribed(last string) (o outcome) {
	o.typ = command.Subscribe
	o.channels, o.starts = objectStarts(command.MaxChannels, last)
	return o
}

var (
	badRequest = outcome{code: command.BadRequest}
	tooMany    = outcome{code: command.LimitExceeded}
)

const ofB = `"since":{"epoch":"e","offset":2}`

// startTests are the messages that name a position, a number of events, or a part of a history.
var startTests = []commandTest{
	// One channel.
	{`{"type":"subscribe","channel":"a","last":20}`, subscribed("a", "last 20")},
	{`{"last":1000000,"channel":"a","type":"subscribe","id":7}`, outcome{typ: command.Subscribe, id: "7", channels: []string{"a"}, starts: []string{"last 1000000"}}},
	{`{"type":"subscribe","channel":"a","token":"t","last":1}`, outcome{typ: command.Subscribe, channels: []string{"a"}, starts: []string{"last 1"}, token: "t"}},
	{`{"type":"subscribe","channel":"a","since":{"epoch":"","offset":9007199254740991}}`, subscribed("a", "@9007199254740991")},
	{`{"type":"subscribe","channel":"a","since":{"offset":2,"epoch":"e","last":3}}`, subscribed("a", "e@2")},

	// Several: names and objects, in any order.
	{`{"type":"subscribe","channels":["a",{"channel":"b",` + ofB + `},{"channel":"c","last":20},"d"]}`, subscribed("a", "", "b", "e@2", "c", "last 20", "d", "")},
	{`{"type":"subscribe","channels":["a",{"channel":"b"}]}`, outcome{typ: command.Subscribe, channels: []string{"a", "b"}}},
	{`{"type":"subscribe","channels":[{"channel":"a"},"a",{"channel":"a",` + ofB + `}]}`, subscribed("a", "", "a", "", "a", "e@2")},
	{` { "channels" : [ { "since" : { "offset" : 2 , "epoch" : "e" } , "ch\u0061nnel" : "\u00e9" } ] , "type" : "subscribe" } `, subscribed("é", "e@2")},
	{`{"type":"subscribe","channels":[{"channel":""},{"channel":"\ud800","last":1}]}`, subscribed("", "", "\xed\xa0\x80", "last 1")},
	{`{"type":"subscribe","channels":` + objects(command.MaxChannels) + `}`, manySubscribed("")},

	// last of the message holds for each element that says nothing itself.
	{`{"type":"subscribe","channels":["a","b"],"last":5}`, subscribed("a", "last 5", "b", "last 5")},
	{`{"type":"subscribe","last":5,"channels":["a",{"channel":"b",` + ofB + `},{"channel":"c","last":20},{"channel":"d"}]}`, subscribed("a", "last 5", "b", "e@2", "c", "last 20", "d", "last 5")},
	{`{"type":"subscribe","channels":` + objects(command.MaxChannels) + `,"last":5}`, manySubscribed("last 5")},

	// Keys that mean nothing in an element are ignored, whatever they are.
	{`{"type":"subscribe","channels":[{"channel":"a","token":7,"type":"x","id":-1,"channels":[],"data":1,"before":0,"limit":"","x":1,"x":2}]}`, outcome{typ: command.Subscribe, channels: []string{"a"}}},
	{`{"type":"subscribe","channels":[{"channel":"a","Since":1,"LAST":0}]}`, outcome{typ: command.Subscribe, channels: []string{"a"}}},
	{`{"type":"subscribe","channels":[{"x":` + nested(20_000) + `,"channel":"a","last":1}]}`, subscribed("a", "last 1")},

	// Other commands have channels too. Where they begin means nothing there.
	{`{"type":"unsubscribe","channels":["a",{"channel":"b"}]}`, outcome{typ: command.Unsubscribe, channels: []string{"a", "b"}}},
	{`{"type":"publish","channels":[{"channel":"a"}],"data":1}`, outcome{typ: command.Publish, channels: []string{"a"}, data: "1"}},
	{`{"type":"ping","last":3,"before":1,"limit":1}`, outcome{typ: command.Ping, before: 1, limit: 1}},
	{`{"type":"ping","channels":[{}]}`, badRequest},

	// since belongs to one channel; what holds is never a matter of order.
	{`{"type":"subscribe","channels":[{"channel":"a"}],` + ofB + `}`, badRequest},
	{`{"type":"subscribe",` + ofB + `,"channels":[{"channel":"a",` + ofB + `}]}`, badRequest},
	{`{"type":"subscribe","channel":"a","last":1,` + ofB + `}`, badRequest},
	{`{"type":"subscribe","channel":"a",` + ofB + `,"last":1}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a","last":1,` + ofB + `}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a",` + ofB + `,"last":1}]}`, badRequest},
	{`{"type":"subscribe","channel":"a","channels":[{"channel":"a"}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a"}],"token":"t"}`, badRequest},

	// Repeated keys.
	{`{"type":"subscribe","channel":"a","last":1,"last":1}`, badRequest},
	{`{"type":"subscribe","channels":["a"],"channels":[{"channel":"a"}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a","channel":"a"}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a","\u0063hannel":"b"}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a",` + ofB + `,` + ofB + `}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a","last":1,"last":2}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a","since":{"epoch":"e","offset":1,"epoch":"e"}}]}`, badRequest},
	{`{"type":"history","channel":"a","limit":1,"limit":1}`, badRequest},
	{`{"type":"history","channel":"a","before":1,"before":1}`, badRequest},

	// Wrong kinds.
	{`{"type":"subscribe","channels":{"channel":"a"}}`, badRequest},
	{`{"type":"subscribe","channels":[{}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"last":1}]}`, badRequest},
	{`{"type":"subscribe","channels":[[]]}`, badRequest},
	{`{"type":"subscribe","channels":[["a"]]}`, badRequest},
	{`{"type":"subscribe","channels":[true]}`, badRequest},
	{`{"type":"subscribe","channels":[null,{"channel":"a"}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a"},null]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":null}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":["a"]}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":{"channel":"a"}}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a","since":null}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a","since":[]}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a","since":"e@2"}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a","since":{}}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a","since":{"epoch":"e","offset":1.0}}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a","since":{"epoch":"\ud800","offset":1}}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a","since":{"epoch":"e","offset":9007199254740992}}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a","last":null}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":"a","last":0}]}`, badRequest},
	{`{"type":"subscribe","channel":"a","last":0}`, badRequest},
	{`{"type":"subscribe","channel":"a","last":-1}`, badRequest},
	{`{"type":"subscribe","channel":"a","last":1e3}`, badRequest},
	{`{"type":"subscribe","channel":"a","last":"20"}`, badRequest},
	{`{"type":"subscribe","channel":"a","last":1000001}`, badRequest},
	{`{"type":"subscribe","channel":"a","last":4294967297}`, badRequest}, // 2^32+1
	{`{"type":"ping","last":0}`, badRequest},
	{`{"type":"ping","before":{}}`, badRequest},
	{`{"type":"ping","limit":[]}`, badRequest},

	// Garbage that is JSON, and garbage that is none.
	{`{"type":"subscribe","channels":[` + nested(20_000) + `]}`, badRequest},
	{`{"type":"subscribe","channels":` + nested(20_000) + `}`, badRequest},
	{`{"type":"subscribe","channels":[` + strings.Repeat(`{"channel":`, 20_000) + `"a"` + strings.Repeat(`}`, 20_000) + `]}`, badRequest},
	{`{"type":"subscribe","channel":"a","since":` + strings.Repeat(`{"since":`, 20_000) + `1` + strings.Repeat(`}`, 20_000) + `}`, badRequest},
	{`{"type":"subscribe","id":5,"channels":[{"channel":"a"},{"channel":"b"]}`, badRequest},
	{`{"type":"subscribe","id":5,"channels":[{"channel":"a",}]}`, badRequest},
	{`{"type":"subscribe","id":5,"channels":[{"channel":"a"}{"channel":"b"}]}`, badRequest},
	{`{"type":"subscribe","id":5,"channels":[{"channel":"` + "\xff" + `"}]}`, badRequest},
	{`{"type":"subscribe","channels":[{"channel":1}],"id":5}`, outcome{id: "5", code: command.BadRequest}},

	// Too many. The first fault decides.
	{`{"type":"subscribe","channels":` + objects(command.MaxChannels+1) + `}`, tooMany},
	{`{"type":"subscribe","channels":` + objects(command.MaxChannels+1) + `,"id":6}`, outcome{id: "6", code: command.LimitExceeded}},
	{`{"type":"subscribe","channels":` + objects(command.MaxChannels)[:len(objects(command.MaxChannels))-1] + `,1]}`, tooMany},
	{`{"type":"subscribe","channels":[1,` + objects(command.MaxChannels)[1:] + `}`, badRequest},
	{`{"type":"subscribe","channels":[{},` + objects(command.MaxChannels + 1)[1:] + `}`, badRequest},
	{`{"type":"subscribe","channels":[""` + strings.Repeat(`,{}`, 20_000) + `]}`, badRequest},
	{`{"type":"unsubscribe","channels":` + objects(command.MaxChannels+1) + `}`, tooMany},

	// Histories.
	{`{"type":"history","id":5,"channel":"a"}`, outcome{typ: command.History, id: "5", channels: []string{"a"}}},
	{`{"type":"history","channel":"a",` + ofB + `,"limit":1}`, outcome{typ: command.History, channels: []string{"a"}, starts: []string{"e@2"}, limit: 1}},
	{`{"type":"history","channel":"a","before":41,"limit":1000}`, outcome{typ: command.History, channels: []string{"a"}, before: 41, limit: 1000}},
	{`{"before":9007199254740991,"channel":"a","type":"hist\u006fry"}`, outcome{typ: command.History, channels: []string{"a"}, before: 1<<53 - 1}},
	{`{"type":"history"}`, badRequest},
	{`{"type":"History","channel":"a"}`, outcome{code: command.UnknownType}},
	{`{"type":"history","channels":["a"]}`, badRequest},
	{`{"type":"history","channels":[{"channel":"a",` + ofB + `}]}`, badRequest},
	{`{"type":"history","channel":"a","last":20}`, badRequest},
	{`{"type":"history","channel":"a",` + ofB + `,"before":41}`, badRequest},
	{`{"type":"history","channel":"a","before":0}`, badRequest},
	{`{"type":"history","channel":"a","before":9007199254740992}`, badRequest},
	{`{"type":"history","channel":"a","before":"41"}`, badRequest},
	{`{"type":"history","channel":"a","limit":0}`, badRequest},
	{`{"type":"history","channel":"a","limit":1001}`, badRequest},
	{`{"type":"history","channel":"a","limit":4294967297}`, badRequest},
	{`{"type":"history","channel":"a","limit":null}`, badRequest},
}

// TestRefusals has what a client is told about positions and histories that it asks for wrongly.
func TestRefusals(t *testing.T) {
	const (
		badLast, badSince = "last must be an integer from 1 to 1000000", "since must be an object with epoch, a string, and offset, an integer"
		badBefore         = "before must be an integer from 1 to 9007199254740991"
		badLimit          = "limit must be an integer from 1 to 1000"
		badElement        = "channels must be an array of strings, or of objects with channel and since or last"
	)
	var c command.Command
	for _, tt := range []struct{ members, want string }{
		{`"type":"subscribe","channels":["a"],` + ofB, "since goes with channel; in channels, each object has its own"},
		{`"type":"subscribe","channel":"a","last":1,` + ofB, "since and last exclude each other"},
		{`"type":"subscribe","channels":[{"channel":"a","last":1,` + ofB + `}]`, "since and last exclude each other"},
		{`"type":"subscribe","channel":"a","last":0`, badLast},
		{`"type":"subscribe","channels":[{"channel":"a","last":"1"}]`, badLast},
		{`"type":"subscribe","channels":[{"channel":"a","since":1}]`, badSince},
		{`"type":"subscribe","channels":[{"channel":"a","since":{"epoch":"e","epoch":"e"}}]`, "a key is repeated"},
		{`"type":"subscribe","channels":"a"`, badElement},
		{`"type":"subscribe","channels":["a",1]`, badElement},
		{`"type":"subscribe","channels":[{"channel":1}]`, "channel must be a string"},
		{`"type":"subscribe","channels":[{"last":1}]`, "channel is missing"},
		{`"type":"subscribe","channels":[]`, "channels is empty"},
		{`"type":"history","channels":["a"]`, "history goes with channel, not with channels"},
		{`"type":"history","channel":"a","last":1`, "history takes limit, not last"},
		{`"type":"history","channel":"a","before":1,` + ofB, "since and before exclude each other"},
		{`"type":"history","channel":"a","before":0`, badBefore},
		{`"type":"history","channel":"a","limit":1001`, badLimit},
		{`"type":"history"`, "channel is missing"},
		{`"type":"historical"`, "type must be subscribe, unsubscribe, publish, history, ping or authenticate"},
	} {
		err := c.Parse([]byte("{" + tt.members + "}"))
		if refusal, ok := errors.AsType[*command.Error](err); !ok || refusal.Message != tt.want {
			t.Errorf("{%s}: %v, want %q", tt.members, err, tt.want)
		}
	}
}

// The gateway lets a client do nothing that concerns a channel before it has said who it is, and
// tells these commands by their order.
func TestTypes(t *testing.T) {
	verbs := make([]string, 0, 8)
	for typ := range command.Authenticate + 1 {
		if typ == command.Ping {
			verbs = append(verbs, "|")
		}
		verbs = append(verbs, typ.String())
	}
	if got, want := strings.Join(verbs, " "), " subscribe unsubscribe publish history | ping pong authenticate"; got != want {
		t.Errorf("the types are %q, want %q", got, want)
	}
}

// The scratch space grows while a message is read, and is used again for the next one. Starts
// are right all the same.
func TestStartsOfManyMessages(t *testing.T) {
	var c command.Command
	for n := 1; n <= command.MaxChannels; n += 341 {
		if err := c.Parse([]byte(`{"type":"subscribe","channels":` + objects(n) + `}`)); err != nil {
			t.Fatal(err)
		}
		channels, starts := objectStarts(n, "")
		for i := range n {
			if got := startText(c.StartOf(i)); string(c.Channels[i]) != channels[i] || got != starts[i] {
				t.Fatalf("channel %d of %d is %q from %q, want %q from %q", i, n, c.Channels[i], got, channels[i], starts[i])
			}
		}
		if beyond := c.StartOf(n); !beyond.IsLive() {
			t.Errorf("behind %d channels there is %q", n, startText(beyond))
		}
	}
	c.Reset()
	for i := range 3 {
		if !c.StartOf(i).IsLive() {
			t.Errorf("channel %d has a start in an empty command", i)
		}
	}
}

func TestCloneOfAStart(t *testing.T) {
	payload := []byte(`{"type":"subscribe","channel":"a","since":{"epoch":"Zx3k","offset":17}}`)
	var c command.Command
	if err := c.Parse(payload); err != nil {
		t.Fatal(err)
	}
	kept := c.StartOf(0).Clone()
	for i := range payload {
		payload[i] = 'x'
	}
	if got := startText(c.StartOf(0)); got != "xxxx@17" {
		t.Fatalf("the start is %s", got) // it is a copy already, so the clone proves nothing
	}
	if got := startText(kept); got != "Zx3k@17" {
		t.Errorf("the clone is %s", got)
	}
	if live := (*command.Start)(nil); !live.IsLive() {
		t.Error("nil is not live")
	}
}
