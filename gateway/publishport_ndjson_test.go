package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"fleetcast/gateway"
)

var epochs = regexp.MustCompile(`"epoch":"[A-Za-z0-9_-]{8}"`)

// anyEpoch makes replies comparable.
func anyEpoch(text string) string { return epochs.ReplaceAllString(text, `"epoch":"E"`) }

// ndjson is a conversation; channels start with prefix. Requests without an id
// have no reply unless they fail.
func ndjson(prefix string) (requests, replies string) {
	requests = strings.ReplaceAll("\r\n"+ // line 1
		`{"id":1,"channel":"@x","data":{ "a" : 1 }}`+"\n"+
		`{"channel":"@x","data":2}`+"\n"+
		" \t\n"+
		`{"id":9007199254740991,"channels":["@x","@\u00fc","@x"],"data":"é","more":[]}`+"\r\n"+
		"nonsense\n"+ // line 6
		`{"id":3,"channel":"@x"}`+"\n"+
		`{"channel":"@ x","data":1}`+"\n"+ // line 8
		`{"channel":"@x","data":"`+"\xff"+`"}`+"\n"+
		`{"channel":"@x","data":01}`+"\n"+
		`{"id":0,"channel":"@x","data":null}`+"\n", "@", prefix)
	replies = strings.ReplaceAll(
		`{"id":1,"results":[{"channel":"@x","epoch":"E","offset":1,"subscribers":0}]}`+"\n"+
			`{"id":9007199254740991,"results":[{"channel":"@x","epoch":"E","offset":3,"subscribers":0},`+
			`{"channel":"@ü","epoch":"E","offset":1,"subscribers":0},{"channel":"@x","epoch":"E","offset":4,"subscribers":0}]}`+"\n"+
			`{"line":6,"error":{"code":"bad_request","message":"a message is one JSON object"}}`+"\n"+
			`{"id":3,"error":{"code":"bad_request","message":"data is missing"}}`+"\n"+
			`{"line":8,"error":{"code":"bad_channel","message":"channel \"@ x\": a channel name holds a space or a control character"}}`+"\n"+
			fmt.Sprintf(`{"line":9,"error":{"code":"bad_request","message":"JSON is not valid UTF-8 at byte %d"}}`+"\n", len(prefix)+22)+
			fmt.Sprintf(`{"line":10,"error":{"code":"bad_request","message":"invalid JSON at byte %d"}}`+"\n", len(prefix)+23)+
			`{"id":0,"results":[{"channel":"@x","epoch":"E","offset":5,"subscribers":0}]}`+"\n", "@", prefix)
	return requests, replies
}

// converses sends the requests in pieces as cut and wants the replies.
func (s *server) converses(requests, replies string, pieces ...string) {
	s.Helper()
	p := s.publisher()
	for i, piece := range pieces {
		if i > 0 && len(pieces) < 10 {
			// The pieces before have been met, so they cannot arrive as one.
			met := len(requests) - len(strings.Join(pieces[i:], ""))
			s.eventually("the piece before", func(g gateway.GatewayStats) bool { return g.Publish.BytesIn%uint64(len(requests)) == uint64(met) })
		}
		p.sends(piece)
	}
	for _, want := range strings.SplitAfter(strings.TrimSuffix(replies, "\n"), "\n") {
		if got := anyEpoch(p.line()); got != strings.TrimRight(want, "\r\n") {
			s.Fatalf("received\n%s, want\n%s", got, want)
		}
	}
	p.CloseWrite()
	p.ends()
	p.Close()
}

func TestNDJSON(t *testing.T) {
	s := start(t)
	requests, replies := ndjson("whole-")
	s.converses(requests, replies, requests)
	stats := s.stats().Publish
	if stats.Events != 6 || stats.Requests != 4 || stats.Errors["bad_request"] != 4 || stats.Errors["bad_channel"] != 1 || stats.CreditsUsed != 0 {
		t.Errorf("the counters are %+v", stats)
	}
}

func TestNDJSONInPieces(t *testing.T) {
	s := start(t)
	length := func() int { requests, _ := ndjson("1000-"); return len(requests) }()
	for at := 1; at < length; at++ {
		requests, replies := ndjson(fmt.Sprintf("%04d-", at))
		s.converses(requests, replies, requests[:at], requests[at:])
	}
	requests, replies := ndjson("byte-")
	s.converses(requests, replies, strings.Split(requests, "")...)
}

func TestNDJSONErrors(t *testing.T) {
	const badID = "id must be an integer from 0 to 9007199254740991"
	tests := []struct{ request, id, code, message string }{
		{`{"id":1,"channel":"a","data":1,"id":2}`, "", "bad_request", "a key is repeated"},
		{`{"id":1,"channel":"a","data":1,"data":2}`, `"id":1`, "bad_request", "a key is repeated"},
		{`{"id":-1,"channel":"a","data":1}`, "", "bad_request", badID},
		{`{"id":1.5,"channel":"a","data":1}`, "", "bad_request", badID},
		{`{"id":9007199254740992,"channel":"a","data":1}`, "", "bad_request", badID},
		{`{"id":1,"data":1}`, `"id":1`, "bad_request", "channel is missing"},
		{`{"id":1,"Channel":"a","data":1}`, `"id":1`, "bad_request", "channel is missing"},
		{`{"id":1,"channel":["a"],"data":1}`, `"id":1`, "bad_request", "channel must be a string"},
		{`{"id":1,"channels":"a","data":1}`, `"id":1`, "bad_request", "channels must be an array of strings"},
		{`{"id":1,"channels":[],"data":1}`, `"id":1`, "bad_request", "channels is empty"},
		{`{"id":1,"channels":["a"],"channel":"b","data":1}`, `"id":1`, "bad_request", "channel and channels exclude each other"},
		{`{"id":1,"channels":["a"` + strings.Repeat(`,"a"`, 1024) + `],"data":1}`, `"id":1`, "limit_exceeded", "channels has more than 1024 names"},
		{`{"id":1,"channel":"","data":1}`, `"id":1`, "bad_channel", `channel \"\": a channel name is empty`},
		{`{"id":1,"channels":["a","b\n"],"data":1}`, `"id":1`, "bad_channel", `channel \"b\\n\": a channel name holds a space or a control character`},
		{`{"id":1,"channel":"` + strings.Repeat("x", 256) + `","data":1}`, `"id":1`, "bad_channel",
			`channel \"` + strings.Repeat("x", 64) + `\"...: a channel name is longer than 255 bytes`},
		{`{"id":1,"channel":"a","data":"` + strings.Repeat("x", 99) + `"}`, `"id":1`, "limit_exceeded", "data is longer than 100 bytes"},
		{`{"id":1,"channel":"a","data":1} 2`, "", "bad_request", "invalid JSON at byte 32"},
		{`{"id":1,"channel":"a","data":"` + "\x01" + `"}`, "", "bad_request", "invalid JSON at byte 30"},
	}
	s := start(t, func(c *gateway.Config) { c.MaxEvent = 100 })
	p := s.publisher()
	for i, test := range tests {
		id := test.id
		if id == "" {
			id = fmt.Sprintf(`"line":%d`, i+1)
		}
		p.sends(test.request + "\n")
		if got, want := p.line(), fmt.Sprintf(`{%s,"error":{"code":"%s","message":"%s"}}`, id, test.code, test.message); got != want {
			t.Errorf("%.80s is answered with\n%s, want\n%s", test.request, got, want)
		}
	}
	// The connection goes on, and nothing of the above was published.
	p.sends(`{"id":7,"channel":"a","data":"` + strings.Repeat("x", 98) + `"}` + "\n")
	if a := decode[answer](t, p.line()); a.ID == nil || *a.ID != 7 || len(a.Results) != 1 || a.Results[0].Offset != 1 {
		t.Errorf("received %+v", a)
	}
}

func TestPipeliningAndOrder(t *testing.T) {
	s := start(t)
	subscriber, p := s.connect(), s.publisher()
	subscriber.subscribe("news")
	const requests = 5000
	var all strings.Builder
	for id := range requests {
		fmt.Fprintf(&all, `{"id":%d,"channel":"news","data":%d}`+"\n", id, id)
	}
	go p.Write([]byte(all.String()))
	for id := range requests {
		want := fmt.Sprintf(`{"id":%d,"results":[{"channel":"news","epoch":"E","offset":%d,"subscribers":1}]}`, id, id+1)
		if got := anyEpoch(p.line()); got != want {
			t.Fatalf("received %s, want %s", got, want)
		}
		subscriber.wants(event("news", uint64(id+1), fmt.Sprint(id)))
	}
}

// A line beyond the limit is refused before its end and skipped to it.
func TestLineTooLong(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.MaxEvent = 100 })
	const limit = 100 + 64<<10
	refusal := func(line int) string {
		return fmt.Sprintf(`{"line":%d,"error":{"code":"limit_exceeded","message":"the line is longer than %d bytes"}}`, line, limit)
	}
	p := s.publisher()
	p.sends(`{"id":1,"channel":"a","data":1` + strings.Repeat(" ", limit))
	if got := p.line(); got != refusal(1) {
		t.Errorf("received %s", got)
	}
	for range 32 {
		p.sends(strings.Repeat("x", 64<<10))
	}
	fits := `{"id":2,"channel":"a","data":2}`
	p.sends("\n" + fits + strings.Repeat(" ", limit-len(fits)) + "\r\n" + fits + strings.Repeat(" ", limit-len(fits)+1) + "\nx\n")
	if a := decode[answer](t, p.line()); a.ID == nil || *a.ID != 2 || len(a.Results) != 1 || a.Results[0].Offset != 1 {
		t.Errorf("received %+v", a)
	}
	if got := p.line(); got != refusal(3) {
		t.Errorf("received %s", got)
	}
	if got, want := p.line(), `{"line":4,"error":{"code":"bad_request","message":"a message is one JSON object"}}`; got != want {
		t.Errorf("received %s, want %s", got, want)
	}
}

// As with nc -N: the end of the input ends the last line too.
func TestHalfClose(t *testing.T) {
	s := start(t)
	whole := `{"id":1,"channel":"news","data":1}`
	for _, test := range []struct{ input, want string }{
		{whole, `{"id":1,"results":[{"channel":"news","epoch":"E","offset":1,"subscribers":0}]}` + "\n"},
		{whole + "\n" + whole + "\r", `{"id":1,"results":[{"channel":"news","epoch":"E","offset":2,"subscribers":0}]}` + "\n" +
			`{"id":1,"results":[{"channel":"news","epoch":"E","offset":3,"subscribers":0}]}` + "\n"},
		{"{\n" + `{"id":1,"chan`, `{"line":1,"error":{"code":"bad_request","message":"unexpected end of JSON at byte 1"}}` + "\n" +
			`{"line":2,"error":{"code":"bad_request","message":"unexpected end of JSON at byte 13"}}` + "\n"},
		{`{"channel":"quiet","data":1}`, ""},
		{" \r\n ", ""},
		{"", ""},
		{"PUBLISH news 1", ""}, // RESP has no line without an end
	} {
		p := s.publisher()
		p.sends(test.input)
		p.CloseWrite()
		var got strings.Builder
		if _, err := p.in.WriteTo(&got); err != nil || anyEpoch(got.String()) != test.want {
			t.Errorf("%q and the end are answered with\n%s and %v, want\n%s", test.input, got.String(), err, test.want)
		}
	}
	if stats := s.stats().Publish; stats.Events != 4 || stats.Streams != 2 {
		t.Errorf("the counters are %+v", stats)
	}
}

func TestVanishInMidLine(t *testing.T) {
	s := start(t)
	for _, input := range []string{
		`{"channel":"news","data":"` + strings.Repeat("x", 50_000),
		"*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$100\r\nx",
	} {
		p := s.publisher()
		p.sends(input)
		s.eventually("the input", func(g gateway.GatewayStats) bool { return g.Publish.BytesIn >= uint64(len(input)) })
		p.SetLinger(0)
		p.Close()
		s.eventually("the end", func(g gateway.GatewayStats) bool { return g.Publish.Publishers == 0 })
	}
	if stats := s.stats().Publish; stats.Events != 0 || stats.Streams != 0 || stats.CreditsUsed != 0 {
		t.Errorf("the counters are %+v", stats)
	}
}

func TestUnknownFirstByte(t *testing.T) {
	s := start(t)
	for input, line := range map[string]int{"[1]\n": 1, "\"x\"\n": 1, "\r\n \n 5\n": 3, "\x00": 1} {
		p := s.publisher()
		p.sends(input)
		want := fmt.Sprintf(`{"line":%d,"error":{"code":"bad_request","message":"send JSON lines, such as {\"channel\":\"news\",\"data\":{}}, or RESP, such as PUBLISH news {}"}}`, line)
		if got := p.line(); got != want {
			t.Errorf("%q is answered with %s", input, got)
		}
		p.ends()
		p.Close()
	}
}

// refusesHTTP reads the response to an HTTP request, which must say where to publish by HTTP.
func (p *peer) refusesHTTP(method string) {
	p.Helper()
	response, err := http.ReadResponse(p.in, &http.Request{Method: strings.ToUpper(method)})
	if err != nil {
		p.Fatalf("reading the response to %s: %v", method, err)
	}
	body, err := io.ReadAll(response.Body)
	said := strings.Contains(string(body), "POST /api/publish on the admin port")
	if err != nil || response.StatusCode != 400 || said != (method != "HEAD") {
		p.Errorf("%s is answered with %d %q, %v", method, response.StatusCode, body, err)
	}
}

const looksLikeHTTP = "-ERR this looks like HTTP, which this port does not take; it takes JSON lines and RESP\r\n"

// TestHTTPIsCutOff has what a web page can make a browser send here.
func TestHTTPIsCutOff(t *testing.T) {
	s := start(t)
	const body = "\r\n\r\n{\"channel\":\"news\",\"data\":1}\nPUBLISH news 1\r\n"
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "post", "PRI"} {
		for _, input := range []string{
			method + " / HTTP/1.1\r\nHost: localhost" + body,
			method + " * http/2.0" + body,
			"\r\n" + method + " PUBLISH news 1" + body,
		} {
			p := s.publisher()
			p.sends(input)
			if strings.Contains(strings.ToUpper(input), " HTTP/") {
				p.refusesHTTP(method)
			} else {
				p.receives(looksLikeHTTP)
			}
			p.ends()
			p.Close()
		}
	}
	for _, header := range []string{"Host: localhost", "HOST:localhost"} {
		p := s.publisher()
		p.sends("PING\r\n" + header + body)
		p.receives("+PONG\r\n" + looksLikeHTTP)
		p.ends()
		p.Close()
	}
	if stats := s.stats().Publish; stats.Events != 0 || stats.Streams != 0 {
		t.Errorf("the counters are %+v", stats)
	}
}
