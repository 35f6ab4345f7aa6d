package profile_test

import (
	"fmt"
	"strings"
	"testing"

	"fleetcast/loadtest/profile"
)

// whole has every section; the lines that tests change begin with their key.
const whole = `name: whole
description: all there is
path: /ws
subprotocol: v1
accept: strict
channels: many
lines: true
hello:
  send: hi
  answer: {when: hello}
subscribe:
  send: '{"join":{channel_json}}'
  answer: {when: joined, offset: at}
  refusal: {when: no, text: why}
event:
  when: type = "e"
  channel: room
  data: d
  offset: o
gap: {when: missed, channel: room, from: a, to: b}
ping: {equals: ping, answer: pong}
error: {when: err, text: [err.code, err.text]}
notices:
  - prefix: '#'
  - when: n
publish:
  via: http
  method: PUT
  path: /p?x=1
  headers: {X-API-Key: secret, X-Other: b}
  body: '{"c":{channel_json},"d":{data}}'
  status: 202
  refusal: {when: err}
`

func TestParseErrors(t *testing.T) {
	if _, err := profile.Parse("x.yaml", []byte(whole)); err != nil {
		t.Fatal(err)
	}
	belongs := func(line int, to string, keys ...string) (lines string) {
		for i, key := range keys {
			lines += fmt.Sprintf("\ndir/x.yaml:%d: publish.%s: it belongs to via: http, not to %s", line+i, key, to)
		}
		return lines
	}
	const noPath = ": a path needs when: with prefix, equals and pattern a message is not read as JSON"
	tests := []struct{ old, new, want string }{
		// Keys.
		{"name: whole", "nmae: whole", `1: nmae: unknown key; did you mean "name"?`},
		{"  answer: {when: hello}", "  ansver: {when: hello}", `10: hello.ansver: unknown key; did you mean "answer"?`},
		{"answer: {when: joined, offset: at}", "answer: {when: joined, offest: at}", `13: subscribe.answer.offest: unknown key; did you mean "offset"?`},
		{"- when: n", "- wehn: n", `25: notices[1].wehn: unknown key; did you mean "when"?`},
		{"gap: {", "gap: {zzzzzz: 1, ", `20: gap.zzzzzz: unknown key; choose from when, prefix, equals, pattern, channel, from, to`},
		{"  status: 202", "  1: 202", `32: publish: the key "1" is not plain text`},
		{"path: /ws", "name: x", `3: YAML: mapping key "name" already defined at [1:1]`},

		// Missing keys.
		{"name: whole", "", `1: name: missing key`},
		{"  via: http\n", "", `26: publish.via: missing key`},
		{"  data: d\n", "", `15: event.data: missing key`},
		{"  when: type = \"e\"\n", "", `15: event: one of when, prefix, equals, pattern is missing`},
		{"from: a, ", "", `20: gap.from: missing key`},
		{"  send: hi\n", "", `8: hello.send: missing key`},
		{"  send: '{\"join\":{channel_json}}'\n", "", `11: subscribe.send: missing key`},
		{"  body: '{\"c\":{channel_json},\"d\":{data}}'\n", "", `26: publish.body: missing key`},
		{"  path: /p?x=1\n", "", `26: publish.path: missing key`},
		{"  - prefix: '#'", "  - {}", `24: notices[0]: one of when, prefix, equals, pattern is missing`},

		// Types.
		{"name: whole", "name: 5", `1: name: it is a number, not text; put it into quotes`},
		{"name: whole", "name: true", `1: name: it is true or false, not text; put it into quotes`},
		{"name: whole", "name: [a]", `1: name: it is a list, not text`},
		{"name: whole", "name: {a: b}", `1: name: it is a mapping, not text`},
		{"name: whole", "name: &a x", `1: name: it is an anchor, alias or tag, which profiles do not have, not text`},
		{"name: whole", "name:", `1: name: it has no value`},
		{"name: whole", "name: ''", `1: name: the text is empty`},
		{"lines: true", "lines: yes", `7: lines: it is text, not true or false`},
		{"error: {when: err, text: [err.code, err.text]}", "error: err", `22: error: it is text, not a mapping`},
		{"text: [err.code, err.text]", "text: [err.code, 7]", `22: error.text[1]: it is a number, not text; put it into quotes`},
		{"text: [err.code, err.text]", "text: []", `22: error.text: the list is empty`},
		{"  - prefix: '#'", "  -", `23: notices[0]: it has no value`},
		{"notices:\n  - prefix: '#'\n  - when: n\n", "notices: {when: n}\n", `23: notices: it is a mapping, not a list`},
		{"status: 202", "status: ok", `32: publish.status: it is text, not a whole number`},
		{"status: 202", "status: 2.5", `32: publish.status: it is a number, not a whole number`},
		{"status: 202", "status: 20", `32: publish.status: it is to be from 200 to 599`},
		{"status: 202", "status: -202", `32: publish.status: it is to be from 200 to 599`},
		{"headers: {X-API-Key: secret, ", "headers: {X-API-Key: 7, ", `30: publish.headers.X-API-Key: it is a number, not text; put it into quotes`},

		{"headers: {X-API-Key: secret, X-Other: b}", "headers: none", `30: publish.headers: it is text, not a mapping`},
		{"headers: {X-API-Key: secret, X-Other: b}", "headers: {7: b}", `30: publish.headers: the key "7" is not plain text`},

		// Values.
		{"name: whole", "name: a b", `1: name: "a b" is not a name: ASCII letters, digits, dots, underscores and hyphens`},
		{"description: all there is", `description: "a\nb"`, `2: description: "a\nb" is not one line`},
		{"path: /ws", "path: ws", `3: path: "ws" is not a path: a slash first, then ASCII without spaces`},
		{"path: /p?x=1", "path: /a b", `29: publish.path: "/a b" is not a path: a slash first, then ASCII without spaces`},
		{"subprotocol: v1", "subprotocol: a,b", `4: subprotocol: "a,b" is not a token`},
		{"accept: strict", "accept: strickt", `5: accept: there is no "strickt"; choose from strict, any`},
		{"via: http", "via: htpp", `27: publish.via: there is no "htpp"; choose from ndjson, resp, http, socket, tcp`},
		{"method: PUT", "method: GET", `28: publish.method: there is no "GET"; choose from POST, PUT, PATCH`},
		{"X-Other: b", "content-length: '1'", `30: publish.headers.content-length: this header field follows from the request itself`},
		{"X-Other: b", "X Other: b", `30: publish.headers.X Other: it is not the name of a header field`},
		{"X-Other: b", `X-Other: "b\r\nc"`, `30: publish.headers.X-Other: "b\r\nc" is not the value of a header field`},

		// Placeholders.
		{"{channel_json}}'\n  answer", "{chanel}}'\n  answer", `12: subscribe.send: placeholder {chanel}: here are {channel}, {channel_json}`},
		{"{channel_json}}'\n  answer", "{data}}'\n  answer", `12: subscribe.send: placeholder {data}: here are {channel}, {channel_json}`},
		{"{channel_json}}'\n  answer", "1}'\n  answer", `12: subscribe.send: it does not name the channel: put in {channel_json} or {channel}, or say channels: one`},
		{"send: hi", "send: hi {channel}", `9: hello.send: placeholder {channel}: there are none here`},
		{`"d":{data}`, `"d":1`, `31: publish.body: it does not carry the event: put in {data}`},
		{`"c":{channel_json},`, ``, `31: publish.body: it does not name the channel: put in {channel_json} or {channel}, or say channels: one`},

		// Paths and conditions.
		{"data: d", "data: d..e", `18: event.data: bad path "d..e": a name is empty`},
		{"data: d", "data: d[0]", `18: event.data: bad path "d[0]": '[' may not be in a name`},
		{"data: d", "data: d e", `18: event.data: bad path "d e": ' ' may not be in a name`},
		{"data: d", "data: " + strings.Repeat("d.", 16) + "d", `18: event.data: bad path "d.d.d.d.d.d.d.d.d.d.d.d.d.d.d.d.d": it has more than 16 names`},
		{`when: type = "e"`, "when: type = e", `16: event.when: bad condition "type = e": e is no text in double quotes, number, true, false or null`},
		{`when: type = "e"`, `when: type =`, `16: event.when: bad condition "type =": nothing is no text in double quotes, number, true, false or null`},
		{`when: type = "e"`, `when: type = {}`, `16: event.when: bad condition "type = {}": {} is no text in double quotes, number, true, false or null`},
		{`when: type = "e"`, `when: = "e"`, `16: event.when: bad path "": a name is empty`},
		{`when: type = "e"`, `when: []`, `16: event.when: the list is empty`},

		// Contradictions.
		{`when: type = "e"`, "when: type\n  prefix: P", `17: event.prefix: it contradicts when: give one of them`},
		{`when: type = "e"`, "prefix: P", "17: event.channel" + noPath + "\ndir/x.yaml:18: event.data" + noPath + "\ndir/x.yaml:19: event.offset" + noPath},
		{`when: type = "e"`, "equals: P", "16: event.equals: an event needs data: give when, prefix or pattern" +
			"\ndir/x.yaml:17: event.channel" + noPath + "\ndir/x.yaml:18: event.data" + noPath + "\ndir/x.yaml:19: event.offset" + noPath},
		{"gap: {when: missed", "gap: {prefix: missed", "20: gap.from" + noPath + "\ndir/x.yaml:20: gap.to" + noPath + "\ndir/x.yaml:20: gap.channel" + noPath},
		{"via: http", "via: resp", `28: publish.method: it belongs to via: http, not to resp` + belongs(29, "resp", "path", "headers", "body", "status", "refusal")},
		{"  via: http", "  send: '{data}'\n  via: http", `27: publish.send: it belongs to via: socket and tcp, not to http`},
		{"subscribe:\n  send: '{\"join\":{channel_json}}'\n  answer: {when: joined, offset: at}\n  refusal: {when: no, text: why}\n", "", `1: subscribe: missing key; without it, say channels: one`},

		// Patterns.
		{`when: type = "e"`, `pattern: "E {data}"`, "17: event.channel" + noPath + "\ndir/x.yaml:18: event.data" + noPath + "\ndir/x.yaml:19: event.offset" + noPath},
		{"ping: {equals: ping", `ping: {pattern: "{any}ping"`, `21: ping.pattern: a pattern begins with text`},
		{"ping: {equals: ping", `ping: {pattern: "ping{any}{any}"`, `21: ping.pattern: put text between {any} and {any}: else nobody knows where one ends`},
		{"ping: {equals: ping", `ping: {pattern: "ping{data}"`, `21: ping.pattern: placeholder {data}: here are {any}`},
		{"gap: {when: missed, channel: room, from: a, to: b}", `gap: {pattern: "gap {from}"}`, `20: gap.pattern: a gap needs {from} and {to}`},

		// Rules of which one hides another.
		{"  - when: n", "  - when: n\n  - prefix: '#!'", `26: notices[2]: it can never match: notices[0] in line 24 is tried before it and recognises the same messages`},
		{"  - when: n", "  - when: [n, m]\n  - when: [m, n = 1]", `26: notices[2]: it can never match: notices[1] in line 25 is tried before it and recognises the same messages`},
		{"error: {when: err, ", "error: {when: hello, ", `22: error: it can never match: hello.answer in line 10 is tried before it and recognises the same messages`},
		{"  - when: n", "  - pattern: a {any}\n  - pattern: a {any}", `26: notices[2]: it can never match: notices[1] in line 25 is tried before it and recognises the same messages`},
		{"  - when: n", "  - equals: ping", `25: notices[1]: it can never match: ping in line 21 is tried before it and recognises the same messages`},

		// All at once.
		{whole, "name: a b\npath: ws\nevnt: {}\nsubscribe: {sned: '{channel}'}\npublish: {via: socket, send: x}\n",
			`1: name: "a b" is not a name: ASCII letters, digits, dots, underscores and hyphens` +
				"\ndir/x.yaml:2: path: \"ws\" is not a path: a slash first, then ASCII without spaces" +
				"\ndir/x.yaml:3: evnt: unknown key; did you mean \"event\"?" +
				"\ndir/x.yaml:4: subscribe.sned: unknown key; did you mean \"send\"?" +
				"\ndir/x.yaml:5: publish.send: it does not carry the event: put in {data}"},

		// Documents.
		{whole, "", `1: the profile is empty`},
		{whole, "text", `1: it is text, not a mapping`},
		{whole, "- a", `1: it is a list, not a mapping`},
		{whole, "name: [", `1: YAML: sequence end token ']' not found`},
		{whole, "name: x\n\tpath: /", `2: YAML: found character '	' that cannot start any token`},
		{whole, whole + "---\nname: y\n", `34: a profile is one YAML document, not 2`},
		{whole, "name: \xff", `1: the profile is not UTF-8`},
		{whole, strings.Repeat("#", profile.MaxText+1), `1: the profile is longer than 16384 bytes`},
	}
	for _, tt := range tests {
		if strings.Count(whole, tt.old) == 0 {
			t.Fatalf("%q is not in the profile", tt.old)
		}
		p, err := profile.Parse("dir/x.yaml", []byte(strings.Replace(whole, tt.old, tt.new, 1)))
		if want := "dir/x.yaml:" + tt.want; p != nil || err == nil || err.Error() != want {
			t.Errorf("%.60q for %.60q:\n got %v\nwant %s", tt.new, tt.old, err, want)
		}
	}
}

func TestWhole(t *testing.T) {
	p, err := profile.Parse("x.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	if r := p.Request(); r.Method != "PUT" || r.Path != "/p?x=1" || r.Status != 202 || len(r.Headers) != 2 ||
		r.Headers[0] != (profile.Header{Name: "X-API-Key", Value: "secret"}) || r.Headers[1] != (profile.Header{Name: "X-Other", Value: "b"}) {
		t.Errorf("request %+v", r)
	}
	if p.Subprotocol() != "v1" || !p.HasOffsets() || !p.Confirms() {
		t.Errorf("subprotocol %q, offsets %v, confirms %v", p.Subprotocol(), p.HasOffsets(), p.Confirms())
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(odd))
	f.Add([]byte(least))
	f.Add([]byte("name: &a x\nevent: *a\n<<: *a\n"))
	f.Add([]byte("name: |\n  x\npublish: !!map {via: 'http'}\n---\n? a\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := profile.Parse("x.yaml", text)
		switch {
		case (p == nil) != (err != nil):
			t.Fatalf("%v, %v", p, err)
		case err != nil && !strings.HasPrefix(err.Error(), "x.yaml:"):
			t.Fatalf("the error %q does not name the file", err)
		case p != nil:
			p.AppendHello(nil)
			p.AppendSubscribe(nil, "a")
			p.AppendRecover(nil, "a", "e", 1)
			p.AppendPublish(nil, "a", "", []byte("1"))
			p.NewCodec().Next([]byte(`{"type":"e","d":[1]}`))
		}
	})
}
