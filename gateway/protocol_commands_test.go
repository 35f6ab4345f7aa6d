package gateway_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"fleetcast/gateway"
)

func TestWelcome(t *testing.T) {
	eachLibrary(t, func(t *testing.T, open func(*server, ...string) *client) {
		s := start(t, func(c *gateway.Config) { c.PingInterval = gateway.DefaultPingInterval })
		one, other := open(s).text(), open(s).text()
		shape := regexp.MustCompile(`^\{"type":"welcome","client":"[0-9a-f]{16}","ping_interval_ms":25000,"limits":\{` +
			`"commands_per_second":100,"commands_burst":2000,"publishes_per_second":100,"publishes_burst":200,` +
			`"channels":128,"names_per_command":1024,"message_bytes":65536,"event_bytes":65536,"channel_bytes":255\}\}$`)
		if !shape.MatchString(one) || !shape.MatchString(other) || one == other {
			t.Errorf("two clients were welcomed with %s and %s", one, other)
		}
	})
}

// TestSubprotocol proves RFC 6455, 4.2.2.
func TestSubprotocol(t *testing.T) {
	eachLibrary(t, func(t *testing.T, open func(*server, ...string) *client) {
		s := start(t)
		for _, offer := range []struct {
			names  []string
			chosen string
		}{
			{nil, ""},
			{[]string{"fleetcast.v1"}, "fleetcast.v1"},
			{[]string{"graphql-ws", "fleetcast.v1"}, "fleetcast.v1"},
			{[]string{"graphql-ws"}, ""},
		} {
			c := open(s, offer.names...)
			if c.subprotocol != offer.chosen {
				t.Errorf("of %q, %q was chosen, want %q", offer.names, c.subprotocol, offer.chosen)
			}
			if w := c.welcome(); w.Type != "welcome" {
				t.Errorf("the first message is %+v", w)
			}
		}
	})
}

func TestSubscribePositions(t *testing.T) {
	eachLibrary(t, func(t *testing.T, open func(*server, ...string) *client) {
		s := start(t, oneShard)
		first, later := open(s), open(s)
		first.welcome()
		later.welcome()
		upstream := s.publisher()

		// A channel that publishers used before anyone subscribed has a past.
		before := upstream.publishes("news", `"unheard"`)
		epoch, offset := first.subscribe("news")
		if before.Offset != 1 || before.Subscribers != 0 || epoch != before.Epoch || offset != 1 {
			t.Fatalf("subscribed at %s/%d behind %+v", epoch, offset, before)
		}
		if len(epoch) != 8 {
			t.Errorf("the epoch is %q", epoch)
		}

		// A later subscriber starts behind what went out to the first.
		if r := upstream.publishes("news", `{"a":1}`); r.Offset != 2 || r.Subscribers != 1 || r.Epoch != epoch {
			t.Fatalf("published with %+v", r)
		}
		first.wants(event("news", 2, `{"a":1}`))
		later.says(`{"type":"subscribe","id":5,"channel":"news"}`)
		later.wants(subscribed(`"id":5,`, "news", epoch, 2))

		if r := upstream.publishes("news", `[ 1, 2 ]`); r.Offset != 3 || r.Subscribers != 2 {
			t.Fatalf("published with %+v", r)
		}
		first.wants(event("news", 3, `[ 1, 2 ]`)) // byte for byte
		later.wants(event("news", 3, `[ 1, 2 ]`))

		// Nothing follows an unsubscribed; the position goes on without us.
		first.says(`{"type":"unsubscribe","id":6,"channel":"news"}`)
		first.wants(`{"type":"unsubscribed","id":6,"channel":"news"}`)
		if r := upstream.publishes("news", `4`); r.Offset != 4 || r.Subscribers != 1 {
			t.Fatalf("published with %+v", r)
		}
		later.wants(event("news", 4, `4`))
		first.says(`{"type":"subscribe","channel":"news"}`)
		first.wants(subscribed("", "news", epoch, 4))

		if other, offset := first.subscribe("fresh"); offset != 0 || other == epoch {
			t.Errorf("a fresh channel stands at %s/%d", other, offset)
		}
	})
}

func TestSubscribeToSeveral(t *testing.T) {
	eachLibrary(t, func(t *testing.T, open func(*server, ...string) *client) {
		s := start(t)
		c := open(s)
		c.welcome()
		c.says(`{"type":"subscribe","id":7,"channels":["a","b c","a","\u00e9t\u00e9",""]}`)
		a := decode[message](t, c.text())
		if *a.ID != 7 || a.Channel != "a" || a.Type != "subscribed" || a.Offset != 0 {
			t.Errorf("the first reply is %+v", a)
		}
		c.wants(
			`{"type":"error","id":7,"code":"bad_channel","message":"subscribe \"b c\": a channel name holds a space or a control character"}`,
			`{"type":"error","id":7,"code":"already_subscribed","message":"subscribe \"a\": already subscribed"}`)
		ete := decode[message](t, c.text())
		if *ete.ID != 7 || ete.Channel != "été" || ete.Type != "subscribed" {
			t.Errorf("the fourth reply is %+v", ete)
		}
		c.wants(`{"type":"error","id":7,"code":"bad_channel","message":"subscribe \"\": a channel name is empty"}`)

		s.publish("été", `"x"`)
		c.wants(event("été", 1, `"x"`))
		c.says(`{"type":"unsubscribe","id":8,"channels":["a","b","été"," "]}`)
		c.wants(
			`{"type":"unsubscribed","id":8,"channel":"a"}`,
			`{"type":"error","id":8,"code":"not_subscribed","message":"unsubscribe \"b\": not subscribed"}`,
			`{"type":"unsubscribed","id":8,"channel":"été"}`,
			`{"type":"error","id":8,"code":"bad_channel","message":"unsubscribe \" \": a channel name holds a space or a control character"}`)
		if total := s.stats().Total; total.Subscriptions != 0 || total.Channels != 0 {
			t.Errorf("the counters are %+v", total)
		}
	})
}

func TestPing(t *testing.T) {
	eachLibrary(t, func(t *testing.T, open func(*server, ...string) *client) {
		c := open(start(t))
		c.welcome()
		c.says(`{"type":"ping","id":9007199254740991}`)
		c.says(`{"type":"ping"}`)
		c.says(` {"unknown":[{}],"id":0,"type":"ping","Type":"x"} `)
		c.wants(`{"type":"pong","id":9007199254740991}`, `{"type":"pong"}`, `{"type":"pong","id":0}`)
	})
}

// TestCommandErrors has every refusal of a command; the connection goes on
// behind each.
func TestCommandErrors(t *testing.T) {
	refusal := func(id, code, text string) string {
		return fmt.Sprintf(`{"type":"error",%s"code":%q,"message":"%s"}`, id, code, text)
	}
	const (
		badID      = "id must be an integer from 0 to 9007199254740991"
		badElement = "channels must be an array of strings, or of objects with channel and since or last"
	)
	long := strings.Repeat("x", 256)
	tests := []struct{ command, want string }{
		{`[1]`, refusal("", "bad_request", "a message is one JSON object")},
		{`nonsense`, refusal("", "bad_request", "a message is one JSON object")},
		{``, refusal("", "bad_request", "unexpected end of JSON at byte 0")},
		{`{}`, refusal("", "bad_request", "type is missing")},
		{`{"id":3}`, refusal(`"id":3,`, "bad_request", "type is missing")},
		{`{"type":7,"id":3}`, refusal(`"id":3,`, "bad_request", "type must be a string")},
		{`{"Type":"ping","id":3}`, refusal(`"id":3,`, "bad_request", "type is missing")},
		{`{"type":"ping","type":"ping","id":3}`, refusal(`"id":3,`, "bad_request", "a key is repeated")},
		{`{"type":"ping","id":1,"id":1}`, refusal("", "bad_request", "a key is repeated")},
		{`{"type":"ping","id":-1}`, refusal("", "bad_request", badID)},
		{`{"type":"ping","id":1.0}`, refusal("", "bad_request", badID)},
		{`{"type":"ping","id":"1"}`, refusal("", "bad_request", badID)},
		{`{"type":"ping","id":9007199254740992}`, refusal("", "bad_request", badID)},
		{`{"type":"dance","id":4}`, refusal(`"id":4,`, "unknown_type", "type must be subscribe, unsubscribe, publish, history, ping or authenticate")},
		{`{"type":"subscribe","id":4}`, refusal(`"id":4,`, "bad_request", "channel is missing")},
		{`{"type":"unsubscribe"}`, refusal("", "bad_request", "channel is missing")},
		{`{"type":"subscribe","channel":1}`, refusal("", "bad_request", "channel must be a string")},
		{`{"type":"subscribe","channels":"a"}`, refusal("", "bad_request", badElement)},
		{`{"type":"subscribe","channels":["a",1]}`, refusal("", "bad_request", badElement)},
		{`{"type":"subscribe","channels":["a",{"channel":1}]}`, refusal("", "bad_request", "channel must be a string")},
		{`{"type":"subscribe","channels":[{"last":1}]}`, refusal("", "bad_request", "channel is missing")},
		{`{"type":"subscribe","channels":[]}`, refusal("", "bad_request", "channels is empty")},
		{`{"type":"subscribe","channel":"a","channels":["b"]}`, refusal("", "bad_request", "channel and channels exclude each other")},
		{`{"type":"subscribe","id":1,"channels":["a"` + strings.Repeat(`,"a"`, 1024) + `]}`,
			refusal(`"id":1,`, "limit_exceeded", "channels has more than 1024 names")},
		{`{"type":"subscribe","channel":"a","since":3}`,
			refusal("", "bad_request", "since must be an object with epoch, a string, and offset, an integer")},
		{`{"type":"subscribe","channels":["a"],"since":{"epoch":"x","offset":1}}`,
			refusal("", "bad_request", "since goes with channel; in channels, each object has its own")},
		{`{"type":"subscribe","id":1,"channels":[{"channel":"a"}` + strings.Repeat(`,{"channel":"a"}`, 1024) + `]}`,
			refusal(`"id":1,`, "limit_exceeded", "channels has more than 1024 names")},
		{`{"type":"subscribe","channel":"a","last":1,"since":{"epoch":"x","offset":1}}`, refusal("", "bad_request", "since and last exclude each other")},
		{`{"type":"subscribe","channels":[{"channel":"a","last":1,"since":{"epoch":"x","offset":1}}]}`, refusal("", "bad_request", "since and last exclude each other")},
		{`{"type":"subscribe","channel":"a","last":0}`, refusal("", "bad_request", "last must be an integer from 1 to 1000000")},
		{`{"type":"history","id":5}`, refusal(`"id":5,`, "bad_request", "channel is missing")},
		{`{"type":"history","channels":["a"]}`, refusal("", "bad_request", "history goes with channel, not with channels")},
		{`{"type":"history","channel":"a","last":1}`, refusal("", "bad_request", "history takes limit, not last")},
		{`{"type":"history","channel":"a","before":1,"since":{"epoch":"x","offset":1}}`, refusal("", "bad_request", "since and before exclude each other")},
		{`{"type":"history","channel":"a","before":0}`, refusal("", "bad_request", "before must be an integer from 1 to 9007199254740991")},
		{`{"type":"history","channel":"a","limit":1001}`, refusal("", "bad_request", "limit must be an integer from 1 to 1000")},
		{`{"type":"subscribe","channel":"` + long + `"}`,
			refusal("", "bad_channel", `subscribe \"`+long[:64]+`\"...: a channel name is longer than 255 bytes`)},
		{`{"type":"subscribe","channel":"a\tb"}`,
			refusal("", "bad_channel", `subscribe \"a\\tb\": a channel name holds a space or a control character`)},
		{`{"type":"unsubscribe","id":2,"channel":"a"}`, refusal(`"id":2,`, "not_subscribed", `unsubscribe \"a\": not subscribed`)},
		{`{"type":"publish","id":2,"channel":"a"}`, refusal(`"id":2,`, "bad_request", "data is missing")},
		{`{"type":"publish","id":2,"data":1}`, refusal(`"id":2,`, "bad_request", "channel is missing")},
		{`{"type":"publish","id":2,"channel":"a","data":1}`,
			refusal(`"id":2,`, "permission_denied", `publish \"a\": clients may not publish to this channel`)},
		{`{"type":"publish","channel":"a b","data":1}`,
			refusal("", "bad_channel", `publish \"a b\": a channel name holds a space or a control character`)},
		{`{"type":"publish","channels":["a","b"],"data":1}`, refusal("", "bad_request", "publish: one channel at a time")},
	}
	eachLibrary(t, func(t *testing.T, open func(*server, ...string) *client) {
		s := start(t)
		c := open(s)
		c.welcome()
		for _, test := range tests {
			c.says(test.command)
			if got := c.text(); got != test.want {
				t.Errorf("%.80s is answered with\n%s, want\n%s", test.command, got, test.want)
			}
		}
		// The message says where the syntax breaks. A document that is not JSON has no id.
		c.says(`{"type":"ping","id":1,}`)
		if m := decode[message](t, c.text()); m.Code != "bad_request" || m.ID != nil || !strings.HasSuffix(m.Message, " at byte 22") {
			t.Errorf("broken JSON is answered with %+v", m)
		}
		if err := c.send(true, `{"type":"ping","id":1}`); err != nil {
			t.Fatal(err)
		}
		c.wants(refusal("", "bad_request", "commands are JSON in text messages, not binary ones"))
		c.says(`{"type":"ping"}`)
		c.wants(`{"type":"pong"}`)
		total := s.stats().Total
		errors := uint64(0)
		for _, n := range total.CommandErrors {
			errors += n
		}
		if want := uint64(len(tests) + 2); errors != want || total.ClientMessages != want+1 {
			t.Errorf("%v errors for %d messages were counted, want %d for %d",
				total.CommandErrors, total.ClientMessages, want, want+1)
		}
	})
}

func TestClientPublish(t *testing.T) {
	patterns, err := gateway.ParsePatterns([]string{"chat", "room-*-open"})
	if err != nil {
		t.Fatal(err)
	}
	eachLibrary(t, func(t *testing.T, open func(*server, ...string) *client) {
		s := start(t, func(c *gateway.Config) { c.ClientPublish, c.MaxEvent = patterns, 32 })
		sender, listener := open(s), open(s)
		sender.welcome()
		listener.welcome()
		listener.subscribe("room-5-open")

		sender.says(`{"type":"publish","id":3,"channel":"room-5-open","data":{ "hi" : "é" }}`)
		sender.wants(`{"type":"published","id":3,"channel":"room-5-open","offset":1}`)
		listener.wants(event("room-5-open", 1, `{ "hi" : "é" }`))
		sender.says(`{"type":"publish","channels":["chat"],"data":null}`)
		sender.wants(`{"type":"published","channel":"chat","offset":1}`)

		// Who publishes gets the event as any other subscriber does.
		sender.subscribe("chat")
		sender.says(`{"type":"publish","id":4,"channel":"chat","data":2}`)
		sender.wants(`{"type":"published","id":4,"channel":"chat","offset":2}`, event("chat", 2, "2"))

		for _, channel := range []string{"chats", "room-5-closed", "Chat"} {
			sender.says(fmt.Sprintf(`{"type":"publish","channel":%q,"data":1}`, channel))
			sender.wants(fmt.Sprintf(`{"type":"error","code":"permission_denied","message":"publish \"%s\": clients may not publish to this channel"}`, channel))
		}
		sender.says(`{"type":"publish","id":1,"channel":"chat","data":"` + strings.Repeat("x", 31) + `"}`)
		sender.wants(`{"type":"error","id":1,"code":"limit_exceeded","message":"publish \"chat\": data is too long"}`)
		if total := s.stats().Total; total.ClientPublished != 3 || total.Deliveries != 2 {
			t.Errorf("the counters are %+v", total)
		}
	})
}

// A page of the gateway's own host sends an Origin; both libraries let it
// through as they are.
func TestOwnOrigin(t *testing.T) {
	s := start(t)
	own := http.Header{"Origin": {"http://" + s.clientAddr()}}
	for name, open := range libraries {
		if w := open(s, nil, own).welcome(); w.Type != "welcome" {
			t.Errorf("%s was welcomed with %+v", name, w)
		}
	}
}

func TestClosingClients(t *testing.T) {
	eachLibrary(t, func(t *testing.T, open func(*server, ...string) *client) {
		s := start(t)
		c := open(s)
		c.welcome()
		c.subscribe("news")
		if err := c.shut(); err != nil {
			t.Errorf("closing: %v", err)
		}
		c.drop()
		stats := s.eventually("the end of the session", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
		if stats.Total.Subscriptions != 0 || stats.Total.Clients != 0 || stats.Total.Disconnects["client_closed"] != 1 {
			t.Errorf("the counters are %+v", stats.Total)
		}
	})
}
