package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"fleetcast/gateway"
)

func TestAPIPublish(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.Publish, c.MaxPublishers = nil, 0 }) // the publish port is off
	o, p := s.operator(), s.connect()
	epoch, _ := p.subscribe("news")

	reply := answered[answer](t, o.post("/api/publish", `{"id":7,"channel":"news","data":{ "a" : "é\u00e9" }}`), 200)
	if want := (result{"news", epoch, 1, 1}); reply.ID == nil || *reply.ID != 7 || !slices.Equal(reply.Results, []result{want}) {
		t.Errorf("answered with %+v, want %+v", reply, want)
	}
	p.wants(event("news", 1, `{ "a" : "é\u00e9" }`)) // byte for byte
	reply = answered[answer](t, o.call("POST", "/api/publish", `{"channels":["news","other"],"data":null}`, jsonType+"; charset=utf-8"), 200)
	if reply.ID != nil || len(reply.Results) != 2 || reply.Results[0] != (result{"news", epoch, 2, 1}) || reply.Results[1].Channel != "other" {
		t.Errorf("answered with %+v", reply)
	}
	p.wants(event("news", 2, "null"))
	largest := `"` + strings.Repeat("x", 64<<10-2) + `"`
	answered[answer](t, o.post("/api/publish", `{"channel":"news","data":`+largest+`}`), 200)
	p.wants(event("news", 3, largest))
	stats := s.eventually("no event under way", func(g gateway.GatewayStats) bool { return g.Publish.CreditsUsed == 0 })
	if p := stats.Publish; p.Requests != 3 || p.Events != 4 || len(p.Errors) != 0 {
		t.Errorf("the counters are %+v", p)
	}
}

func TestBadAPIPublish(t *testing.T) {
	s := start(t)
	o := s.operator()
	const data = `,"data":1}`
	refused := make(map[string]uint64)
	for _, test := range []struct {
		body          string
		status        int
		code, message string
	}{
		{"", 400, "bad_request", "unexpected end"},
		{"[]", 400, "bad_request", "one JSON object"},
		{`{"channel":"a","data":1`, 400, "bad_request", "unexpected end"},
		{`{"channel":"a","data":1}` + "\n" + `{"channel":"a","data":1}`, 400, "bad_request", "invalid JSON"},
		{"{\"channel\":\"a\",\"data\":\"\xff\"}", 400, "bad_request", "UTF-8"},
		{`{"channel":"a"}`, 400, "bad_request", "data is missing"},
		{`{"data":1}`, 400, "bad_request", "channel is missing"},
		{`{"channel":"a","channels":["b"]` + data, 400, "bad_request", "exclude"},
		{`{"channel":"a","channel":"a"` + data, 400, "bad_request", "repeated"},
		{`{"channel":"a","Data":1` + data, 400, "bad_request", `no key "Data"`},
		{`{"channel":"a","x":1,"x":2` + data, 400, "bad_request", `no key "x"`},
		{`{"id":-1,"channel":"a"` + data, 400, "bad_request", "id must be"},
		{`{"channel":1` + data, 400, "bad_request", "channel must be"},
		{`{"channel":""` + data, 400, "bad_channel", "empty"},
		{`{"channel":"a b"` + data, 400, "bad_channel", "space"},
		{`{"channel":"\u0000"` + data, 400, "bad_channel", "control"},
		{`{"channel":"` + strings.Repeat("x", 256) + `"` + data, 400, "bad_channel", "longer than 255"},
		{`{"channels":[]` + data, 400, "bad_request", "empty"},
		{`{"channels":["a"` + strings.Repeat(`,"a"`, 1024) + "]" + data, 413, "limit_exceeded", "more than 1024"},
		{`{"channel":"a","data":"` + strings.Repeat("x", 64<<10) + `"}`, 413, "limit_exceeded", "longer than 65536"},
	} {
		o.refused(o.post("/api/publish", test.body), test.status, test.code, test.message)
		refused[test.code]++
	}
	// What is not read is not counted.
	o.refused(o.post("/api/publish", strings.Repeat(" ", 128<<10+1)), 413, "too_large", "131072 bytes")
	o.refused(o.call("POST", "/api/publish", "{}", "Content-Type: text/plain"), 415, "unsupported_media_type", "application/json")
	stats := s.stats().Publish
	if fmt.Sprint(stats.Errors) != fmt.Sprint(refused) || stats.Events != 0 || stats.Streams != 0 || stats.CreditsUsed != 0 {
		t.Errorf("the counters are %+v, want the errors %v", stats, refused)
	}
}

// TestAPIPublishToFullStreams has room for one channel of two: the other has no
// subscribers, so its event goes to nobody, and is no error.
func TestAPIPublishToFullStreams(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.MaxChannels = 1 })
	o, p := s.operator(), s.connect()
	p.subscribe("news")
	if r := o.post("/api/publish", `{"channels":["two","news"],"data":1}`); r.status != 200 {
		t.Fatalf("answered with %d %s", r.status, r.body)
	}
	p.wants(event("news", 1, "1")) // the other does not suffer
	stats := s.eventually("no event under way", func(g gateway.GatewayStats) bool { return g.Publish.CreditsUsed == 0 })
	if stats.Publish.Events != 2 || stats.Publish.Requests != 1 || len(stats.Publish.Errors) != 0 || stats.Publish.EventsUnkept != 1 {
		t.Errorf("the counters are %+v", stats.Publish)
	}
}

// TestAPIPublishWithoutCredit has shards that take nothing: what goes beyond the
// credits is refused at once, and nothing of it is published.
func TestAPIPublishWithoutCredit(t *testing.T) {
	for name, set := range map[string]func(*gateway.Config){
		"in all":      func(c *gateway.Config) { c.Credits = 1_000 },
		"of this one": func(c *gateway.Config) { c.PublisherCredits = 1_000 },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, set)
			o, p := s.operator(), s.connect()
			p.subscribe("news")
			goOn := s.StallShards()
			taken := 0
			for ; ; taken++ {
				reply := o.post("/api/publish", `{"channel":"news","data":1}`)
				if reply.status == 200 && taken < 10 {
					continue
				}
				o.refused(reply, 503, "not_available", "credits")
				if reply.header.Get("Retry-After") != "1" {
					t.Errorf("the headers are %v", reply.header)
				}
				break
			}
			if taken != 4 { // 261 bytes each
				t.Errorf("%d events were taken", taken)
			}
			goOn()
			for i := range taken {
				p.wants(event("news", uint64(i+1), "1"))
			}
			stats := s.eventually("no event under way", func(g gateway.GatewayStats) bool { return g.Publish.CreditsUsed == 0 })
			if stats.Publish.Events != uint64(taken) || stats.Publish.Errors["not_available"] != 1 {
				t.Errorf("the counters are %+v", stats.Publish)
			}
			answered[answer](t, o.post("/api/publish", `{"channel":"news","data":2}`), 200)
			p.wants(event("news", uint64(taken+1), "2"))
		})
	}
}
