package command_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
)

// outcome is what a parsed command comes to, in a form that is easy to compare.
type outcome struct {
	typ      command.Type
	id       string // "" if not set
	channels []string
	starts   []string // of each channel; nil if all are live
	before   uint64
	limit    uint32
	data     string
	token    string
	code     command.Code // "" if accepted

	conditions string // "" if none
}

func parse(c *command.Command, payload string) (o outcome, err error) {
	err = c.Parse([]byte(payload))
	if c.ID.Set {
		o.id = fmt.Sprint(c.ID.Value)
	}
	if err != nil {
		var refusal *command.Error
		if !errors.As(err, &refusal) || refusal.Message == "" {
			return o, fmt.Errorf("%T without code or message: %w", err, err)
		}
		o.code = refusal.Code
		return o, nil
	}
	o.typ = c.Type
	live := true
	for i, name := range c.Channels {
		o.channels = append(o.channels, string(name))
		start := c.StartOf(i)
		o.starts = append(o.starts, startText(start))
		live = live && start.IsLive()
	}
	if live {
		o.starts = nil
	}
	o.before, o.limit = c.Before, c.Limit
	o.data, o.token = string(c.Data), string(c.Token)
	o.conditions = conditions(&c.Conditions)
	return o, nil
}

// startText is epoch@offset, last N, or empty for the live position.
func startText(s *command.Start) (text string) {
	if s.HasSince {
		text = fmt.Sprintf("%s@%d", s.Since.Epoch, s.Since.Offset)
	}
	if s.Last > 0 {
		text += fmt.Sprintf("last %d", s.Last)
	}
	return text
}

func names(n int) string {
	return `["a"` + strings.Repeat(`,"a"`, n-1) + `]`
}

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

// commandTest is a message, and what Parse makes of it.
type commandTest struct {
	payload string
	want    outcome
}

var commandTests = []commandTest{
	{`{"type":"subscribe","id":1,"channel":"news"}`, outcome{typ: command.Subscribe, id: "1", channels: []string{"news"}}},
	{`{"type":"subscribe","channels":["a","b"]}`, outcome{typ: command.Subscribe, channels: []string{"a", "b"}}},
	{`{"type":"subscribe","id":1,"channel":"news","since":{"epoch":"Zx3k","offset":17}}`, outcome{typ: command.Subscribe, id: "1", channels: []string{"news"}, starts: []string{"Zx3k@17"}}},
	{`{"since":{"x":[],"offset":0,"epoch":"\u0041"},"channel":"n\u00e9\n","type":"sub\u0073cribe"}`, outcome{typ: command.Subscribe, channels: []string{"né\n"}, starts: []string{"A@0"}}},
	{`{"type":"unsubscribe","id":2,"channel":"news"}`, outcome{typ: command.Unsubscribe, id: "2", channels: []string{"news"}}},
	{`{"type":"unsubscribe","channels":["\n",""]}`, outcome{typ: command.Unsubscribe, channels: []string{"\n", ""}}},
	{`{"type":"publish","id":3,"channel":"chat","data": {"a": 1} }`, outcome{typ: command.Publish, id: "3", channels: []string{"chat"}, data: `{"a": 1}`}},
	{`{"type":"publish","channel":"chat","data":null}`, outcome{typ: command.Publish, channels: []string{"chat"}, data: `null`}},
	{`{"type":"authenticate","id":1,"token":"a.b.c"}`, outcome{typ: command.Authenticate, id: "1", token: "a.b.c"}},
	{`{"type":"subscribe","channel":"a","token":"\u0061.b.c"}`, outcome{typ: command.Subscribe, channels: []string{"a"}, token: "a.b.c"}},
	{`{"type":"subscribe","channels":["a"],"token":"a"}`, outcome{code: command.BadRequest}},
	{`{"type":"authenticate","id":1}`, outcome{id: "1", code: command.BadRequest}},
	{`{"type":"authenticate","token":""}`, outcome{code: command.BadRequest}},
	{`{"type":"authenticate","token":1}`, outcome{code: command.BadRequest}},
	{`{"type":"authenticate","token":"a","token":"a"}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":4}`, outcome{typ: command.Ping, id: "4"}},
	{` { "type" : "ping" , "\u0069d" : 0 } `, outcome{typ: command.Ping, id: "0"}},
	{`{"type":"ping","id":9007199254740991,"Type":1,"ID":"x","extra":{"type":1,"type":2}}`, outcome{typ: command.Ping, id: "9007199254740991"}},
	{`{"type":"ping","x":1,"x":2}`, outcome{typ: command.Ping}},
	{`{"type":"subscribe","channels":` + names(command.MaxChannels) + `}`, outcome{typ: command.Subscribe, channels: strings.Split(strings.Repeat("a", command.MaxChannels), "")}},
	{`{"type":"subscribe","id":6,"channels":` + names(command.MaxChannels+1) + `}`, outcome{id: "6", code: command.LimitExceeded}},

	{`{"type":"dance","id":5}`, outcome{id: "5", code: command.UnknownType}},
	{`{"type":"Ping"}`, outcome{code: command.UnknownType}},
	{`{"type":"","id":5}`, outcome{id: "5", code: command.UnknownType}},
	{`{"id":5}`, outcome{id: "5", code: command.BadRequest}},
	{`{"Type":"ping","id":5}`, outcome{id: "5", code: command.BadRequest}},
	{`{"type":1,"id":5}`, outcome{id: "5", code: command.BadRequest}},
	{`{"type":"ping","id":5,"type":"ping"}`, outcome{id: "5", code: command.BadRequest}},
	{`{"type":"ping","id":5,"\u0074ype":"ping"}`, outcome{id: "5", code: command.BadRequest}},
	{`{"type":"ping","id":5,"id":5}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":-1}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":-0}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":1.0}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":1e3}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":"1"}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":null}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":9007199254740992}`, outcome{code: command.BadRequest}},
	{`{"type":"subscribe","id":5}`, outcome{id: "5", code: command.BadRequest}},
	{`{"type":"subscribe","id":5,"channel":1}`, outcome{id: "5", code: command.BadRequest}},
	{`{"type":"subscribe","channel":null,"id":5}`, outcome{id: "5", code: command.BadRequest}},
	{`{"type":"subscribe","channel":"a","channel":"a"}`, outcome{code: command.BadRequest}},
	{`{"type":"subscribe","channel":"a","channels":["a"]}`, outcome{code: command.BadRequest}},
	{`{"type":"subscribe","channels":[]}`, outcome{code: command.BadRequest}},
	{`{"type":"subscribe","channels":"a"}`, outcome{code: command.BadRequest}},
	{`{"type":"subscribe","channels":["a",1]}`, outcome{code: command.BadRequest}},
	{`{"type":"subscribe","channels":["a"],"since":{"epoch":"e","offset":1}}`, outcome{code: command.BadRequest}},
	{`{"type":"subscribe","channel":"a","since":{"epoch":"e"}}`, outcome{code: command.BadRequest}},
	{`{"type":"subscribe","channel":"a","since":{"offset":1}}`, outcome{code: command.BadRequest}},
	{`{"type":"subscribe","channel":"a","since":{"epoch":1,"offset":1}}`, outcome{code: command.BadRequest}},
	{`{"type":"subscribe","channel":"a","since":{"epoch":"e","offset":-1}}`, outcome{code: command.BadRequest}},
	{`{"type":"subscribe","channel":"a","since":{"epoch":"e","offset":1,"offset":1}}`, outcome{code: command.BadRequest}},
	{`{"type":"subscribe","channel":"a","since":null}`, outcome{code: command.BadRequest}},
	{`{"type":"subscribe","channel":"a","since":[]}`, outcome{code: command.BadRequest}},
	{`{"type":"publish","channel":"a"}`, outcome{code: command.BadRequest}},
	{`{"type":"publish","channel":"a","data":1,"data":1}`, outcome{code: command.BadRequest}},
	{`{"type":"publish","data":1}`, outcome{code: command.BadRequest}},
	{`{"id":5,"type":"dance"`, outcome{code: command.BadRequest}},
	{`{"id":5,"type":"ping"} x`, outcome{code: command.BadRequest}},
	{`{"id":5,"type":"ping","x":"` + "\xff" + `"}`, outcome{code: command.BadRequest}},
	{`{"id":5,"type":"ping","x":01}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":007}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":12 34}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":12x}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":1.}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":5}}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":5,}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":5,"x":[}`, outcome{code: command.BadRequest}},
	{`{"type":"publish","id":5,"channel":"a","data":` + nested(jsonscan.MaxDepth) + `}`, outcome{typ: command.Publish, id: "5", channels: []string{"a"}, data: nested(jsonscan.MaxDepth)}},
	{`{"type":"publish","id":5,"channel":"a","data":` + nested(jsonscan.MaxDepth+1) + `}`, outcome{id: "5", code: command.BadRequest}},
	{`{"type":"publish","data":` + nested(20_000) + `,"id":5,"channel":"a"}`, outcome{id: "5", code: command.BadRequest}},
	{`{"type":"publish","data":` + nested(20_000) + `],"id":5,"channel":"a"}`, outcome{code: command.BadRequest}},
	{`{"type":"ping","id":5,"x":` + nested(20_000) + `}`, outcome{typ: command.Ping, id: "5"}},
	{`{"type":"subscribe","channels":["a","\ud800","\udfff"]}`, outcome{typ: command.Subscribe, channels: []string{"a", "\xed\xa0\x80", "\xed\xbf\xbf"}}},
	{`{"type":"subscribe","id":5,"channel":"a","since":{"epoch":"\ud800","offset":1}}`, outcome{id: "5", code: command.BadRequest}},
	{`{"type":"\ud800","id":5}`, outcome{id: "5", code: command.BadRequest}},
	{``, outcome{code: command.BadRequest}},
	{`hello`, outcome{code: command.BadRequest}},
	{`null`, outcome{code: command.BadRequest}},
	{`["type"]`, outcome{code: command.BadRequest}},
	{`"ping"`, outcome{code: command.BadRequest}},
}

func TestParse(t *testing.T) {
	var c command.Command // one for all: nothing may be left over from the message before
	for _, tt := range slices.Concat(commandTests, startTests, commandTests) {
		got, err := parse(&c, tt.payload)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%.120s:\n got %.200v, %v\nwant %.200v", tt.payload, got, err, tt.want)
		}
	}
}

func TestEveryPrefixOfACommandIsRefused(t *testing.T) {
	var c command.Command
	for _, tt := range slices.Concat(commandTests, startTests) {
		if tt.want.code != "" || len(tt.payload) > 300 {
			continue
		}
		payload := strings.TrimSpace(tt.payload)
		for n := range len(payload) {
			if got, err := parse(&c, payload[:n]); err != nil || got.code != command.BadRequest {
				t.Errorf("%s: %v, %v, want bad_request", payload[:n], got, err)
			}
		}
	}
}

func TestCheckChannel(t *testing.T) {
	long := strings.Repeat("a", command.MaxChannel)
	for _, name := range []string{"a", "news", "é", "日本", "a.b:c/d*", "\u200b", long, strings.Repeat("é", 127) + "a", `"\`} {
		if err := command.CheckChannel([]byte(name)); err != nil {
			t.Errorf("CheckChannel(%q): %v", name, err)
		}
	}
	for _, name := range []string{
		"", " ", "a b", "a\tb", "a\n", "\x00", "a\x1f", "a\x7f", "é\x7f", "é b", "a\u0085", "a\u009f", "a\u00a0b", "a\u2028", "a\u3000",
		"\xff", "a\xc3", "\xed\xa0\x80", long + "a", strings.Repeat("é", 128),
	} {
		var refusal *command.Error
		if err := command.CheckChannel([]byte(name)); !errors.As(err, &refusal) || refusal.Code != command.BadChannel {
			t.Errorf("CheckChannel(%q) = %v, want bad_channel", name, err)
		}
	}
}

// Long names are looked at eight bytes at a time: each byte is tried at each place.
func TestCheckChannelEachByte(t *testing.T) {
	for c := range 256 {
		valid := '!' <= c && c <= '~'
		for at := range 20 {
			name := []byte("abcdefgh~!~!~!~!news")
			name[at] = byte(c)
			if err := command.CheckChannel(name); (err == nil) != valid {
				t.Errorf("CheckChannel(%q): %v", name, err)
			}
		}
	}
}

func TestCheckChannelWithin(t *testing.T) {
	for _, tt := range []struct {
		name    string
		longest int
		want    string // "" if allowed
	}{
		{"news", 4, ""},
		{"news!", 4, "bad_channel: a channel name is longer than 4 bytes"},
		{"éé", 3, "bad_channel: a channel name is longer than 3 bytes"},
		{"a b", 2, "bad_channel: a channel name holds a space or a control character"},
		{strings.Repeat("a", command.MaxChannel), command.MaxChannel, ""},
	} {
		err := command.CheckChannelWithin([]byte(tt.name), tt.longest)
		if err == nil && tt.want != "" || err != nil && err.Error() != tt.want {
			t.Errorf("%q of at most %d: %v, want %q", tt.name, tt.longest, err, tt.want)
		}
	}
}

func TestParsingAllocatesNothing(t *testing.T) {
	payloads := [][]byte{
		[]byte(`{"type":"subscribe","id":1,"channel":"news","since":{"epoch":"Zx3k","offset":17}}`),
		[]byte(`{"type":"subscribe","channels":["a","b\u0041","c"]}`),
		[]byte(`{"type":"publish","id":3,"channel":"ch\u00e9","data":{"a":"\n"}}`),
		[]byte(`{"type":"ping","id":4}`),
		[]byte(`{"type":"dance","id":4}`),
		[]byte(`{"type":"subscribe","last":20,"channels":` + objects(command.MaxChannels) + `}`),
		[]byte(`{"type":"subscribe","channels":` + objects(command.MaxChannels+1) + `}`),
		[]byte(`{"type":"history","channel":"news","before":41,"limit":100}`),
	}
	event := command.AppendEvent(nil, command.AppendEventPrefix(nil, "n\"s"), 18, []byte(`{"a":1}`))
	var c command.Command
	history := command.AppendHistory(nil, none, "news", "Zx3k", &command.Page{Events: []command.PageEvent{{18, []byte(`1`)}, {19, []byte(`[]`)}}})
	var m command.ServerMessage
	var events []command.PageEvent
	allocs := testing.AllocsPerRun(100, func() {
		for _, payload := range payloads {
			_ = c.Parse(payload)
		}
		if err := m.Parse(event); err != nil {
			t.Error(err)
		}
		if err := m.Parse(history); err != nil {
			t.Error(err)
		}
		var err error
		if events, err = m.AppendEvents(events[:0]); err != nil || len(events) != 2 {
			t.Error(events, err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations per run, want 0", allocs)
	}
}
