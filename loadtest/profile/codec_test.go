package profile_test

import (
	"testing"

	"fleetcast/codec/command"
	"fleetcast/loadtest/profile"
)

// read is a message as tests compare it.
type read struct {
	kind          profile.Kind
	channel, data string
	offset        int // -1: none
	from, to      uint64
	text, answer  string
}

func plain(m profile.Message) read {
	r := read{m.Kind, string(m.Channel), string(m.Data), -1, m.From, m.To, string(m.Text), string(m.Answer)}
	if m.HasOffset {
		r.offset = int(m.Offset)
	}
	return r
}

// readAll reads all messages of a frame.
func readAll(t *testing.T, c *profile.Codec, payload []byte) (all []read) {
	t.Helper()
	for {
		m, rest := c.Next(payload)
		all = append(all, plain(m))
		if len(rest) == 0 {
			return all
		}
		if len(rest) >= len(payload) {
			t.Fatalf("%q: the rest does not shrink", payload)
		}
		payload = rest
	}
}

var unknown = read{offset: -1}

type messageTest struct {
	payload string
	want    []read
}

func testMessages(t *testing.T, p *profile.Profile, tests []messageTest) {
	t.Helper()
	c := p.NewCodec()
	for range 2 { // nothing of a message is left for the next
		for _, tt := range tests {
			got := readAll(t, c, []byte(tt.payload))
			if len(got) != len(tt.want) {
				t.Errorf("%s: %d messages, want %d: %+v", tt.payload, len(got), len(tt.want), got)
				continue
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("%s: message %d is %+v, want %+v", tt.payload, i, got[i], tt.want[i])
				}
			}
		}
	}
}

func fleetcastEvent(channel, data string) string {
	return string(command.AppendEvent(nil, command.AppendEventPrefix(nil, channel), 18, []byte(data)))
}

func TestFleetcastMessages(t *testing.T) {
	one := func(r read) []read { return []read{r} }
	id := command.NewID(1)
	testMessages(t, load(t, "fleetcast"), []messageTest{
		{fleetcastEvent("news", `{"a":[1, 2]}`), one(read{kind: profile.Event, channel: "news", data: `{"a":[1, 2]}`, offset: 18})},
		{fleetcastEvent("a\"b\\é", `"x\n"`), one(read{kind: profile.Event, channel: "a\"b\\é", data: `"x\n"`, offset: 18})},
		{` { "type" : "\u0065vent" , "data" : null , "channel" : "n\u0065ws" , "new" : [] } `, one(read{kind: profile.Event, channel: "news", data: `null`, offset: -1})},
		{string(command.AppendSubscribed(nil, id, "news", "Zx3k", 17, nil, nil)), one(read{kind: profile.Subscribed, channel: "news", offset: 17})},
		{string(command.AppendGap(nil, "news", 19, 40)), one(read{kind: profile.Gap, channel: "news", offset: -1, from: 19, to: 40})},
		{string(command.AppendWelcome(nil, "5f0c", 25000, nil, nil)), one(read{kind: profile.Notice, offset: -1})},
		{string(command.AppendPong(nil, id)), one(read{kind: profile.Notice, offset: -1})},
		{string(command.AppendGoodbye(nil, "draining", 1234)), one(read{kind: profile.Notice, offset: -1})},
		{string(command.AppendRefusal(nil, id, &command.Error{Code: command.BadChannel, Message: "no \"x\""})), one(read{kind: profile.Refused, offset: -1, text: `bad_channel: no "x"`})},
		{`{"type":"error","code":7}`, one(read{kind: profile.Refused, offset: -1, text: `7`})},
		{`{"type":"error"}`, one(read{kind: profile.Refused, offset: -1, text: `{"type":"error"}`})},

		{string(command.AppendUnsubscribed(nil, id, "news")), one(unknown)},
		{``, one(unknown)},
		{`{}`, one(unknown)},
		{`[]`, one(unknown)},
		{`"event"`, one(unknown)},
		{`{"type":"event","channel":"news","offset":18}`, one(unknown)},                                           // no data
		{`{"type":"event","offset":18,"data":1}`, one(unknown)},                                                   // no channel
		{`{"type":"event","channel":5,"offset":18,"data":1}`, one(unknown)},                                       // no text
		{`{"type":"event","channel":"news","offset":-1,"data":1}`, one(unknown)},                                  // no offset
		{`{"type":"event","channel":"news","offset":18,"data":{"a":}`, one(unknown)},                              // cut off
		{`{"type":"event","channel":"news","offset":18,"data":{"a":1}`, one(unknown)},                             // cut off behind the data
		{`{"type":"event","channel":"news","offset":18,"data":1}x`, one(unknown)},                                 // something behind it
		{`{"type":"event","channel":"news","offset":18,"data":1,"data":2}`, one(unknown)},                         // which of them?
		{"{\"type\":\"event\",\"channel\":\"n\xff\",\"offset\":18,\"data\":1}", one(unknown)},                     // not UTF-8
		{`{"type":"gap","channel":"news","from":40,"to":19}`, one(unknown)},                                       // no span
		{`{"type":"gap","channel":"news","from":19}`, one(unknown)},                                               // open end
		{fleetcastEvent("a", `1`) + "\n" + fleetcastEvent("a", `2`), one(unknown)},                                // no lines here
		{`{"type":"subscribed","channel":"news","offset":99999999999999999999999}`, one(unknown)},                 // too large
		{`{"type":"event ","channel":"news","offset":18,"data":1}`, one(unknown)},                                 // another type
		{`{"type":["event"],"channel":"news","offset":18,"data":1}`, one(unknown)},                                // no scalar
		{`{"x":{"type":"event"},"channel":"news","offset":18,"data":1}`, one(unknown)},                            // elsewhere
		{`{"data":{"type":"event"},"type":"pong"}`, one(read{kind: profile.Notice, offset: -1})},                  // only the outer counts
		{`{"type":"event","channel":"","offset":0,"data":1}`, one(read{profile.Event, "", "1", 0, 0, 0, "", ""})}, // all empty
	})
}

func TestRawMessages(t *testing.T) {
	testMessages(t, load(t, "raw"), []messageTest{
		{"P{\"a\":1}\nP", []read{{kind: profile.Event, data: "{\"a\":1}\nP", offset: -1}}},
		{"P", []read{{kind: profile.Event, offset: -1}}},
		{"P\xff", []read{{kind: profile.Event, data: "\xff", offset: -1}}},
		{"p1", []read{unknown}},
		{"", []read{unknown}},
	})
}

func TestCentrifugoMessages(t *testing.T) {
	event := func(channel, data string, offset int) read {
		return read{kind: profile.Event, channel: channel, data: data, offset: offset}
	}
	ping := read{kind: profile.Ping, offset: -1, answer: `{}`}
	testMessages(t, load(t, "centrifugo"), []messageTest{
		{`{"id":1,"connect":{"client":"c","version":"5.4.0","ping":25,"pong":true}}`, []read{{kind: profile.Greeted, offset: -1}}},
		{`{"id":2,"subscribe":{}}`, []read{{kind: profile.Subscribed, offset: -1}}},
		{`{"id":2,"subscribe":{"recoverable":true,"epoch":"x","offset":5}}`, []read{{kind: profile.Subscribed, offset: 5}}},
		{`{"push":{"channel":"x","pub":{"data":{"a":{"data":1}}}}}`, []read{event("x", `{"a":{"data":1}}`, -1)}},
		{`{"push":{"channel":"x","pub":{"data":{},"offset":7}}}`, []read{event("x", `{}`, 7)}},
		{`{}`, []read{ping}},
		{`{"id":2,"error":{"code":103,"message":"permission denied"}}`, []read{{kind: profile.Refused, offset: -1, text: "103: permission denied"}}},
		{`{"push":{"channel":"x","join":{}}}`, []read{{kind: profile.Notice, offset: -1}}},
		{`{"push":{"channel":"x","unsubscribe":{"code":2500}}}`, []read{unknown}},
		{`{"push":{"channel":"x","pub":{}}}`, []read{unknown}},
		{`{"push":{"channel":"x","pub":[1]}}`, []read{unknown}},
		{`{"push":7}`, []read{unknown}},
		{
			`{"push":{"channel":"x","pub":{"data":1}}}` + "\n{}\n" + `{"push":{"channel":"y","pub":{"data":2}}}` + "\n",
			[]read{event("x", "1", -1), ping, event("y", "2", -1)},
		},
		{"{}\n\n\n{}", []read{ping, ping}},
		{"\n", []read{unknown}},
		{"{\"push\":{\n{}", []read{unknown, ping}},
	})
}

// odd is a profile with the forms that no built-in one has.
const odd = `
name: odd
channels: one
hello:
  send: hi
  answer: {prefix: "welcome "}
subscribe:
  send: join
  answer: {when: ['0 = "ok"', 1.room], channel: 1.room}
  refusal: {prefix: "no "}
event: {when: ['0 = "new"', '2.live = true', '3 = -1.5'], data: '1'}
ping: {when: ping}
error: {when: bad, text: bad.why}
notices:
  - {equals: bye}
  - {when: gone = null}
publish: {via: socket, send: '["new",{data}]'}
`

func TestForms(t *testing.T) {
	p, err := profile.Parse("odd.yaml", []byte(odd))
	if err != nil {
		t.Fatal(err)
	}
	testMessages(t, p, []messageTest{
		{`welcome x`, []read{{kind: profile.Greeted, offset: -1}}},
		{`["ok",{"room":"a"}]`, []read{{kind: profile.Subscribed, channel: "a", offset: -1}}},
		{`["ok",{"room":7}]`, []read{unknown}},
		{`{"0":"ok","1":{"room":"a"}}`, []read{{kind: profile.Subscribed, channel: "a", offset: -1}}},
		{`no more room`, []read{{kind: profile.Refused, offset: -1, text: "more room"}}},
		{`no `, []read{{kind: profile.Refused, offset: -1, text: "no "}}},
		{`["new",{"x":[]},{"live":true},-1.5]`, []read{{kind: profile.Event, data: `{"x":[]}`, offset: -1}}},
		{`["new",{"x":[]},{"live":false},-1.5]`, []read{unknown}},
		{`["new",{"x":[]},{"live":true},-1.50]`, []read{unknown}},
		{`["new",{"x":[]},{"live":true},-1.5`, []read{unknown}},
		{`{"ping":0}`, []read{{kind: profile.Ping, offset: -1}}},
		{`{"bad":{"why":"late"}}`, []read{{kind: profile.Refused, offset: -1, text: "late"}}},
		{`{"bad":{"why":{"a":1}}}`, []read{{kind: profile.Refused, offset: -1, text: `{"a":1}`}}},
		{`bye`, []read{{kind: profile.Notice, offset: -1}}},
		{`bye `, []read{unknown}},
		{`{"gone":null}`, []read{{kind: profile.Notice, offset: -1}}},
		{`{"gone":0}`, []read{unknown}},
	})
}

func FuzzNext(f *testing.F) {
	for _, name := range profile.Names() {
		for _, payload := range []string{
			fleetcastEvent("news", `{"a":1}`), `{"type":"event","channel":"news","offset":18,"data":{"a":`,
			`{"type":"error","code":"x","message":"\ud800"}`, "P1\nP2", "{}\n\n{\"push\":{\"channel\":\"\\u0061\",\"pub\":{\"data\":[[[]]],\"offset\":1}}}\n",
			`{"id":2,"subscribe":{"epoch":"x","recovered":true,"publications":[{"data":1,"offset":2},{}]}}`,
			`{"type":"subscribed","channel":"a","epoch":"x","offset":1,"recovered":false,"lost":{"from":2,"to":3},"latest":4}`,
			`{"id":2,"error":{"code":103,"message":"permission denied"}}`, `["ok",{"room":"a"}]`,
		} {
			f.Add(name, []byte(payload))
		}
	}
	f.Add("odd", []byte(`["new",{"x":[]},{"live":true},-1.5]`))
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		p, err := profile.Parse("odd.yaml", []byte(odd))
		if name != "odd" {
			if len(name) > 20 || name != "raw" && name != "fleetcast" && name != "centrifugo" {
				return
			}
			p, err = profile.Load(name)
		}
		if err != nil {
			t.Fatal(err)
		}
		readAnswer(p.NewCodec(), string(payload))
		all := readAll(t, p.NewCodec(), payload)
		for _, r := range all {
			if (r.kind == profile.Event) != (r.data != "") && name != "raw" {
				t.Fatalf("%s: %q is %+v", name, payload, r)
			}
		}
		p.NewCodec().PublishRefused(payload)
	})
}

func TestReadingAllocatesNothing(t *testing.T) {
	for name, payload := range map[string]string{
		"fleetcast":  fleetcastEvent("news", `{"a":1}`),
		"centrifugo": `{"push":{"channel":"x","pub":{"data":{"a":1}}}}` + "\n{}",
		"raw":        "P1",
	} {
		c, frame := load(t, name).NewCodec(), []byte(payload)
		allocs := testing.AllocsPerRun(100, func() {
			for rest := frame; len(rest) > 0; {
				_, rest = c.Next(rest)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations, want 0", name, allocs)
		}
	}
}
