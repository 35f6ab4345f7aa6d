package gateway_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"fleetcast/codec/jsonscan"
	"fleetcast/gateway"
)

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// entrance is one way into the gateway for an event.
type entrance struct {
	name string
	// publish publishes data to a channel, or to several in an array; all are JSON. It returns the code of the refusal, or "".
	publish func(channel, data string) (code string)
}

// entrances opens all of them but RESP, which has no JSON for a channel.
func (s *server) entrances() []entrance {
	s.Helper()
	client, lines, o := s.connect(), s.publisher(), s.operator()
	return []entrance{
		{"client", func(channel, data string) string {
			client.says(`{"type":"publish","id":7,` + target(channel) + `,"data":` + data + `}`)
			m := decode[message](s, client.text())
			if m.ID == nil || *m.ID != 7 {
				s.Errorf("the client is answered with %+v, want the id 7", m)
			}
			return m.Code
		}},
		{"NDJSON", func(channel, data string) string {
			lines.sends(`{"id":7,` + target(channel) + `,"data":` + data + "}\n")
			a := decode[answer](s, lines.line())
			if a.ID == nil || *a.ID != 7 {
				s.Errorf("the line is answered with %+v, want the id 7", a)
			}
			if a.Error != nil {
				return a.Error.Code
			}
			return ""
		}},
		{"API", func(channel, data string) string {
			// Not with o.post, whose check of the description cannot read 1e400.
			reply, err := o.web.Client().Post(o.web.URL+"/api/publish", "application/json", strings.NewReader(`{`+target(channel)+`,"data":`+data+`}`))
			if err != nil {
				s.Fatal(err)
			}
			defer reply.Body.Close()
			body, _ := io.ReadAll(reply.Body)
			if a := decode[answer](s, string(body)); a.Error != nil {
				return a.Error.Code
			}
			return ""
		}},
	}
}

// target is the member that names a channel, or several.
func target(channel string) string {
	if strings.HasPrefix(channel, "[") {
		return `"channels":` + channel
	}
	return `"channel":` + channel
}

func clientsPublish(c *gateway.Config) { c.ClientPublish = gateway.Patterns{"**"} }

// TestOddData publishes, through every entrance, data that readers may stumble over. It is delivered byte
// for byte.
func TestOddData(t *testing.T) {
	odd := []string{
		nested(jsonscan.MaxDepth),
		strings.Repeat(`{"a":`, jsonscan.MaxDepth) + "1" + strings.Repeat("}", jsonscan.MaxDepth),
		"1e400", "-1e-400", strings.Repeat("9", 400), "0." + strings.Repeat("1", 400), "123456789012345678901234567890",
		`"\ud800"`, `{"\udfff":"\ud800\ud800"}`, `"\u0000\uffff\ufeff"`, `{"a":1,"a":2,"":3}`, "\"\u2028\u2029\"",
		`{"__proto__":{"a":1},"constructor":null}`, `"` + strings.Repeat("x", 64<<10-2) + `"`, `[` + strings.Repeat("1,", 32<<10-2) + `1]`,
	}
	s := start(t, clientsPublish, noRates)
	subscriber := s.connect()
	subscriber.subscribe("news")
	p := s.publisher()
	entrances := append(s.entrances(), entrance{"RESP", func(_, data string) string {
		p.sends(array("PUBLISH", "news", data))
		return strings.Replace(p.line(), ":1", "", 1)
	}})
	offset := uint64(0)
	for _, e := range entrances {
		for _, data := range odd {
			if e.name == "client" && len(data) > 32<<10 {
				continue // longer than --max-message
			}
			if code := e.publish(`"news"`, data); code != "" {
				t.Errorf("%s refuses %.60s with %s", e.name, data, code)
				continue
			}
			offset++
			subscriber.wants(event("news", offset, data))
		}
	}
}

// TestDeepData: every entrance refuses data that nests more deeply than readers read, whether by one level
// or by ten thousand, and none makes something else of it.
func TestDeepData(t *testing.T) {
	s := start(t, clientsPublish, noRates)
	p := s.publisher()
	entrances := append(s.entrances(), entrance{"RESP", func(_, data string) string {
		p.sends(array("PUBLISH", "news", data))
		if got, want := p.line(), "-ERR data is nested deeper than 99 levels of arrays and objects"; got != want {
			return got
		}
		return "bad_request"
	}})
	for _, e := range entrances {
		for _, depth := range []int{jsonscan.MaxDepth + 1, 1_000, 7_000} {
			for _, data := range []string{nested(depth), `{"a":` + nested(depth-1) + `}`} {
				if code := e.publish(`"news"`, data); code != "bad_request" {
					t.Errorf("%s answers %q to %d levels", e.name, code, depth)
				}
			}
		}
	}
	if stats := s.stats().Publish; stats.Events != 0 || stats.Streams != 0 {
		t.Errorf("the counters are %+v", stats)
	}
}

// TestNamesThatAreNoText: halves of surrogate pairs are refused in every name. They must not become
// U+FFFD, which would make different channels and keys the same.
func TestNamesThatAreNoText(t *testing.T) {
	s := start(t, clientsPublish, noRates)
	for _, e := range s.entrances() {
		for _, channel := range []string{`"\ud800"`, `"a\udfff"`, `"\ud800\u0041"`, `"\udc00\ud800"`} {
			if code := e.publish(channel, "1"); code != "bad_channel" {
				t.Errorf("%s answers %q to the channel %s", e.name, code, channel)
			}
			if e.name == "client" {
				continue // clients have no keys
			}
			if code := e.publish(`"news","key":`+channel, "1"); code != "bad_request" {
				t.Errorf("%s answers %q to the key %s", e.name, code, channel)
			}
		}
	}
	p := s.connect()
	p.says(`{"type":"subscribe","id":1,"channels":["a","\ud800","\ufffd"]}`)
	p.says(`{"type":"unsubscribe","id":2,"channel":"\udfff"}`)
	p.says(`{"type":"subscribe","id":3,"channel":"b","since":{"epoch":"\ud800","offset":1}}`)
	got := make([]string, 0, 5)
	for range cap(got) {
		m := decode[message](t, p.text())
		got = append(got, fmt.Sprintf("%d %s%s %q", *m.ID, m.Type, m.Code, m.Channel))
	}
	want := `[1 subscribed "a" 1 errorbad_channel "" 1 subscribed "�" 2 errorbad_channel "" 3 errorbad_request ""]`
	if fmt.Sprint(got) != want {
		t.Errorf("answered with\n%v, want\n%s", got, want)
	}
	for _, name := range []string{"%ff", "%ed%a0%80"} {
		o := s.operator()
		o.refused(o.get("/api/channels?prefix="+name), 400, "bad_request", "not valid UTF-8")
	}
	if stats := s.stats().Publish; stats.Events != 0 || stats.Streams != 2 {
		t.Errorf("the counters are %+v", stats)
	}
}

// TestInvalidDocumentsHaveNoID: what looks like an id in a text that is no JSON may be anything.
func TestInvalidDocumentsHaveNoID(t *testing.T) {
	s := start(t, noRates)
	client, lines := s.connect(), s.publisher()
	lines.sends("{\"x\":1}\n") // line 1, so that the protocol is known
	lines.line()
	for i, text := range []string{
		`{"type":"ping","id":007}`, `{"type":"ping","id":12 34}`, `{"type":"ping","id":12.}`, `{"type":"ping","id":1e}`,
		`{"id":7,"type":"ping"`, `{"id":7,"type":"ping",}`, `{"id":7,"type":"ping"}}`, `{"id":7 "type":"ping"}`, `{"id":7,"x":` + nested(200) + `]}`,
		`{"id":7,id:8}`, `{"id":7,"data":tru}`, `{"id":7}{"id":8}`,
	} {
		client.says(text)
		if m := decode[message](t, client.text()); m.Type != "error" || m.Code != "bad_request" || m.ID != nil {
			t.Errorf("the client's %s is answered with %+v", text, m)
		}
		lines.sends(text + "\n")
		if a := decode[answer](t, lines.line()); a.ID != nil || a.Line == nil || *a.Line != uint64(i+2) || a.Error.Code != "bad_request" {
			t.Errorf("the line %s is answered with %+v", text, a)
		}
	}
}

// TestByteOrderMarks: that of UTF-8 is skipped at the start of a connection, of a line, of a payload and of a
// body, however it arrives; that of UTF-16 is named.
func TestByteOrderMarks(t *testing.T) {
	const bom = "\ufeff"
	s := start(t, clientsPublish, noRates)
	subscriber := s.connect()
	subscriber.subscribe("news")
	request := `{"id":1,"channel":"news","data":%d}`
	offset := 0
	next := func() string { offset++; return fmt.Sprintf(request, offset) }
	delivered := func() {
		t.Helper()
		subscriber.wants(event("news", uint64(offset), fmt.Sprint(offset)))
	}

	for _, pieces := range [][]string{{bom}, {bom[:1], bom[1:]}, {bom[:2], bom[2:]}, {"\r\n" + bom + " "}, {bom + bom}} {
		p := s.publisher()
		for _, piece := range pieces {
			met := s.stats().Publish.BytesIn + uint64(len(piece))
			p.sends(piece)
			s.eventually("the piece", func(g gateway.GatewayStats) bool { return g.Publish.BytesIn >= met })
		}
		p.sends(next() + "\r\n")
		delivered()
		p.sends(bom + next() + "\n") // files put together
		delivered()
		for range 2 {
			if a := decode[answer](t, p.line()); a.Error != nil {
				t.Errorf("answered with %+v", a.Error)
			}
		}
		p.Close()
	}

	p := s.publisher()
	p.sends(bom + array("PING"))
	p.receives("+PONG\r\n")
	offset++
	p.sends(array("PUBLISH", "news", bom+fmt.Sprint(offset)))
	p.receives(":1\r\n")
	delivered()
	offset++
	p.sends(array("PUBLISH", "news", bom+"text"))
	p.receives(":1\r\n")
	subscriber.wants(event("news", uint64(offset), `"text"`))
	p.sends(array("PUBLISH", "news", "\xff\xfe1\x00"))
	p.receives("-ERR payload starts with the byte order mark of UTF-16; send UTF-8\r\n")

	o := s.operator()
	if reply, err := o.web.Client().Post(o.web.URL+"/api/publish", "application/json", strings.NewReader(bom+next())); err != nil || reply.StatusCode != 200 {
		t.Errorf("the API answers with %+v, %v", reply, err)
	}
	delivered()
	o.refused(o.post("/api/publish", "\xff\xfe{\x00"), 400, "bad_request", "UTF-16")

	client := s.connect()
	client.says(bom + `{"type":"ping","id":7}`)
	client.wants(`{"type":"pong","id":7}`)

	lines := s.publisher()
	lines.sends("{}\n\xff\xfe{\x00}\x00\n")
	lines.line()
	if a := decode[answer](t, lines.line()); *a.Line != 2 || !strings.Contains(a.Error.Message, "byte order mark of UTF-16") {
		t.Errorf("the line in UTF-16 is answered with %+v", a)
	}
	for _, mark := range []string{"\xff\xfe{\x00", "\xfe\xff\x00{", "{\x00\"\x00", "\x00{\x00\""} {
		p := s.publisher()
		p.sends(mark)
		if got := p.line(); !strings.Contains(got, "UTF-16") {
			t.Errorf("UTF-16 is answered with %s", got)
		}
		p.ends()
	}
}

// TestSeveralChannelsAreOneRequest: if one channel is refused, or the rate is used up, the event goes to none.
func TestSeveralChannelsAreOneRequest(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.PublisherRate = gateway.Rate{PerSecond: 0.001, Burst: 3} })
	for _, e := range s.entrances()[1:] { // a client names one channel
		before := s.stats().Publish.Events
		for _, test := range []struct{ channels, code string }{
			{`"\ud800"`, "bad_channel"}, {`"a b"`, "bad_channel"}, {`""`, "bad_channel"}, {`"\u0000"`, "bad_channel"},
		} {
			if code := e.publish(`["good",`+test.channels+`,"better"]`, "1"); code != test.code {
				t.Errorf("%s answers %q to %s among others", e.name, code, test.channels)
			}
		}
		for i, want := range []string{"", "rate_limited"} {
			if code := e.publish(`["good","better"]`, "1"); code != want {
				t.Errorf("%s answers %q to request %d", e.name, code, i)
			}
		}
		if events := s.stats().Publish.Events - before; events != 2 {
			t.Errorf("by %s %d events are published, want 2", e.name, events)
		}
	}
}
