package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// three at once, and none comes due while a test runs.
var three = gateway.Rate{PerSecond: 1.0 / 3600, Burst: 3}

const (
	tooManyCommands = `too many commands: at most 1 an hour, 3 at once`
	tooManyEvents   = `too many events: at most 1 an hour, 3 at once`
)

// anyMS puts MS for the milliseconds of a refusal, if there are any. They must be
// those of about so many hours.
func anyMS(tb testing.TB, text string, hours int) string {
	tb.Helper()
	before, after, ok := strings.Cut(text, `"retry_after_ms":`)
	if !ok {
		return text
	}
	digits := strings.IndexFunc(after, func(r rune) bool { return r < '0' || r > '9' })
	if ms, err := strconv.Atoi(after[:digits]); err != nil || ms < hours*3_600_000-100_000 || ms > hours*3_600_000+3 {
		tb.Errorf("asked to wait %d ms (%v), want %d hours", ms, err, hours)
	}
	return before + `"retry_after_ms":MS` + after[digits:]
}

// refusedText is a refusal of a command, with any time.
func refusedText(id int, message string) string {
	return fmt.Sprintf(`{"type":"error","id":%d,"code":"rate_limited","message":%q,"retry_after_ms":MS}`, id, message)
}

// TestClientCommands has each kind of message count as one command, and each
// name of a command as one.
func TestClientCommands(t *testing.T) {
	const ping = `{"type":"ping","id":1}`
	for _, test := range []struct {
		name     string
		messages []string
		first    []string // answers, up to how the first refusals begin
		refusals []string
	}{
		{"pings", []string{ping, ping, ping, ping},
			[]string{`{"type":"pong"`, `{"type":"pong"`, `{"type":"pong"`}, []string{refusedText(1, tooManyCommands)}},
		{"names", []string{`{"type":"subscribe","id":2,"channels":["a","b"]}`, `{"type":"unsubscribe","id":3,"channels":["a","b"]}`},
			[]string{`{"type":"subscribed"`, `{"type":"subscribed"`, `{"type":"unsubscribed"`},
			[]string{refusedText(3, `unsubscribe "b": `+tooManyCommands)}},
		{"many names", []string{`{"type":"subscribe","id":2,"channels":["a","b","c","d","e","f","g"]}`},
			[]string{`{"type":"subscribed"`, `{"type":"subscribed"`, `{"type":"subscribed"`},
			[]string{refusedText(2, `subscribe "d": `+tooManyCommands), refusedText(2, `subscribe "e": `+tooManyCommands),
				// No later than the burst, for who tries all of them together.
				refusedText(2, `subscribe "f": `+tooManyCommands), refusedText(2, `subscribe "g": `+tooManyCommands)}},
		{"nonsense", []string{`nonsense`, `{"type":"dance"}`, `{"type":"subscribe","channel":""}`, `{"id":4}`},
			[]string{`{"type":"error","code":"bad_request"`, `{"type":"error","code":"unknown_type"`, `{"type":"error","code":"bad_channel"`},
			[]string{refusedText(4, tooManyCommands)}},
		{"publishes that are not allowed", []string{`{"type":"publish","channel":"a","data":1}`, ping, ping, `{"type":"publish","id":5,"channel":"a","data":1}`},
			[]string{`{"type":"error","code":"permission_denied"`, `{"type":"pong"`, `{"type":"pong"`}, []string{refusedText(5, tooManyCommands)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, func(c *gateway.Config) { c.ClientCommands = three })
			p := s.connect()
			for _, message := range test.messages {
				p.says(message)
			}
			for _, want := range test.first {
				if got := p.text(); !strings.HasPrefix(got, want) {
					t.Fatalf("received %s, want %s...", got, want)
				}
			}
			for i, want := range test.refusals {
				if got := anyMS(t, p.text(), min(i+1, three.Burst)); got != want {
					t.Fatalf("received\n%s, want\n%s", got, want)
				}
			}
			if n := s.stats().Total.CommandErrors["rate_limited"]; n != uint64(len(test.refusals)) {
				t.Errorf("%d refusals were counted", n)
			}
			// The connection is there; control frames are no commands, others have
			// a rate of their own.
			p.sends(clientFrame(ws.OpPing, true, "x"))
			if f := p.frame(); f.Header.OpCode != ws.OpPong {
				t.Errorf("received opcode %#x", f.Header.OpCode)
			}
			other := s.connect()
			other.says(ping)
			other.wants(`{"type":"pong","id":1}`)
		})
	}
}

// A binary message is a command too, though it has no id.
func TestClientCommandsInBinary(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.ClientCommands = gateway.Rate{PerSecond: 1.0 / 3600, Burst: 1} })
	p := s.connect()
	p.sends(clientFrame(ws.OpBinary, true, "x") + clientFrame(ws.OpBinary, true, "x"))
	if first, second := p.text(), p.text(); !strings.Contains(first, "bad_request") || !strings.Contains(second, "rate_limited") {
		t.Errorf("received %s and %s", first, second)
	}
}

// The highest rate that can be configured, and its burst, is no bound to notice.
func TestClientCommandsAtTheHighestRate(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.ClientCommands = gateway.Rate{PerSecond: 1e9, Burst: 1e9} })
	p := s.connect()
	for range 100 {
		p.says(ping)
		p.wants(pong)
	}
}

// Who waits as long as it was told goes on, and a change counts at once.
func TestClientCommandsComeDue(t *testing.T) {
	var config gateway.Config
	s := start(t, func(c *gateway.Config) { c.ClientCommands = gateway.Rate{PerSecond: 20, Burst: 1}; config = *c })
	p := s.connect()
	p.says(ping)
	p.wants(pong)
	for p.says(ping); ; p.says(ping) {
		text := p.text()
		if text == pong {
			break
		}
		m := decode[message](t, text)
		if m.Code != "rate_limited" || m.RetryAfterMS < 1 || m.RetryAfterMS > 51 {
			t.Fatalf("received %s", text)
		}
		time.Sleep(time.Duration(m.RetryAfterMS) * time.Millisecond) // as a client would
	}
	config.ClientCommands = gateway.Rate{}
	if err := s.Reconfigure(config); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		p.says(ping)
		p.wants(pong)
	}
}

// TestClientPublishes bounds events and nothing else.
func TestClientPublishes(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.ClientPublishes, c.ClientPublish = three, gateway.Patterns{"a"} })
	p := s.connect()
	for i := range 3 {
		p.says(`{"type":"publish","channel":"b","data":1}`) // refused: not counted
		p.says(`{"type":"publish","channel":"a","data":1}`)
		if text := p.text(); !strings.Contains(text, "permission_denied") {
			t.Errorf("received %s", text)
		}
		p.wants(fmt.Sprintf(`{"type":"published","channel":"a","offset":%d}`, i+1))
	}
	p.says(`{"type":"publish","id":7,"channel":"a","data":1}`)
	if got, want := anyMS(t, p.text(), 1), refusedText(7, `publish "a": `+tooManyEvents); got != want {
		t.Errorf("received\n%s, want\n%s", got, want)
	}
	p.says(ping)
	p.wants(pong)
	if total := s.stats().Total; total.ClientPublished != 3 || total.CommandErrors["rate_limited"] != 1 {
		t.Errorf("the counters are %+v", total)
	}
}

// A publish that waits for credit is counted once.
func TestClientPublishesThatWait(t *testing.T) {
	s := start(t, oneShard, func(c *gateway.Config) {
		c.ClientPublishes, c.ClientCommands, c.ClientPublish = three, three, gateway.Patterns{"**"}
		c.PublisherCredits = 1
	})
	reader := s.connect()
	reader.subscribe("a")
	p := s.connect()
	publish := clientFrame(ws.OpText, true, `{"type":"publish","channel":"a","data":1}`)
	p.sends(strings.Repeat(publish, 3)) // each but the first waits for the one before it
	for i := range 3 {
		p.wants(fmt.Sprintf(`{"type":"published","channel":"a","offset":%d}`, i+1))
		reader.wants(event("a", uint64(i+1), "1"))
	}
}

// TestPublisherRate bounds the events of each connection; a request for several
// channels is as many.
func TestPublisherRate(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.PublisherRate = three })
	refused := func(head string) string {
		return head + `"error":{"code":"rate_limited","message":"` + tooManyEvents + `","retry_after_ms":MS}}`
	}
	lines := s.publisher()
	lines.sends(`{"id":1,"channel":"a","data":1}` + "\n" + "nonsense\n" + `{"id":2,"channels":["a","b"],"data":1}` + "\n" +
		`{"id":3,"channel":"a","data":1}` + "\n" + `{"channel":"a","data":1}` + "\n" + `{"id":9}` + "\n")
	for i, want := range []string{`{"id":1,"results":[`, `{"line":2,"error":{"code":"bad_request"`, `{"id":2,"results":[`, refused(`{"id":3,`), refused(`{"line":5,`), `{"id":9,"error":{"code":"bad_request"`} {
		if got := anyMS(t, lines.line(), 1); !strings.HasPrefix(got, want) {
			t.Errorf("answer %d is\n%s, want\n%s", i, got, want)
		}
	}
	// Another connection has its own.
	resp := s.publisher()
	resp.sends(strings.Repeat("PUBLISH a 1\r\n", 4) + "PING\r\n")
	for _, want := range []string{":0", ":0", ":0", "-ERR rate limited, try again in ", "+PONG"} {
		if got := resp.line(); !strings.HasPrefix(got, want) || strings.HasPrefix(want, "-") && !strings.HasSuffix(got, " ms: "+tooManyEvents) {
			t.Errorf("received %s, want %s", got, want)
		}
	}
	if publish := s.stats().Publish; publish.Events != 6 || publish.Errors["rate_limited"] != 3 || publish.CreditsUsed != 0 {
		t.Errorf("the counters are %+v", publish)
	}
}

// More channels than a burst in one request are allowed when nothing else was
// published before, and paid for afterwards.
func TestPublisherRateOfLargeRequests(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.PublisherRate = three })
	p := s.publisher()
	p.sends(`{"id":1,"channels":["a","b","c","d","e"],"data":1}` + "\n" + `{"id":2,"channel":"a","data":1}` + "\n")
	if first, second := p.line(), p.line(); !strings.Contains(first, `"results"`) || !strings.Contains(second, "rate_limited") {
		t.Errorf("received %s and %s", first, second)
	}
}

// All of the API is one publisher.
func TestPublisherRateOfAPI(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.PublisherRate = three })
	o := s.operator()
	for range 3 {
		o.get("/api/stats") // not counted
		if reply := o.post("/api/publish", `{"channel":"a","data":1}`); reply.status != http.StatusOK {
			t.Fatalf("answered with %d %s", reply.status, reply.body)
		}
	}
	reply := o.post("/api/publish", `{"channel":"a","data":1}`)
	o.refused(reply, http.StatusTooManyRequests, "rate_limited", tooManyEvents)
	if after := reply.header.Get("Retry-After"); after != "3600" {
		t.Errorf("Retry-After: %s", after)
	}
	if text := anyMS(t, strings.ReplaceAll(reply.body, `": `, `":`), 1); !strings.Contains(text, `"retry_after_ms":MS`) {
		t.Errorf("answered with %s", reply.body)
	}
	if publish := s.stats().Publish; publish.Events != 3 || publish.Errors["rate_limited"] != 1 || publish.CreditsUsed != 0 {
		t.Errorf("the counters are %+v", publish)
	}
}

// TestMaxSubscriptions counts those of all shards, and those that end.
func TestMaxSubscriptions(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.MaxSubscriptions = 8 })
	const full = `{"type":"error","id":1,"code":"limit_exceeded","message":"subscribe \"c\": the gateway holds 8 subscriptions, which is its limit"}`
	var peers []*peer
	for range 4 {
		p := s.connect()
		p.subscribe("a")
		p.subscribe("b")
		peers = append(peers, p)
	}
	ask := func(p *peer, want string) {
		t.Helper()
		p.says(`{"type":"subscribe","id":1,"channel":"c"}`)
		if got := p.text(); !strings.HasPrefix(got, want) {
			t.Errorf("received %s, want %s", got, want)
		}
	}
	ask(peers[0], full)
	ask(peers[3], full)
	peers[1].says(`{"type":"unsubscribe","channel":"a"}`)
	peers[1].text()
	ask(peers[0], `{"type":"subscribed"`)
	ask(peers[3], full)
	peers[1].Close()
	s.eventually("the end of one", func(g gateway.GatewayStats) bool { return g.Total.Clients == 3 })
	ask(peers[3], `{"type":"subscribed"`)
	if got := s.stats().Total.Subscriptions; got != 8 {
		t.Errorf("there are %d subscriptions", got)
	}
}

// A channel that cannot be opened takes no place.
func TestMaxSubscriptionsAndChannels(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.MaxSubscriptions, c.MaxChannels = 2, 1 })
	p := s.connect()
	p.subscribe("a")
	for range 3 {
		p.says(`{"type":"subscribe","channel":"b"}`)
		if text := p.text(); !strings.Contains(text, "1 channels, which is its limit") {
			t.Errorf("received %s", text)
		}
	}
	s.connect().subscribe("a")
}

// TestMaxChannelName goes by every way into the gateway.
func TestMaxChannelName(t *testing.T) {
	var config gateway.Config
	s := start(t, func(c *gateway.Config) { c.ClientPublish = gateway.Patterns{"**"}; config = *c })
	p := s.connect()
	p.subscribe("fives")
	config.MaxChannelName = 4
	if err := s.Reconfigure(config); err != nil {
		t.Fatal(err)
	}
	const tooLong = `a channel name is longer than 4 bytes`
	p.subscribe("four")
	p.says(`{"type":"subscribe","channel":"fiver"}`)
	p.wants(`{"type":"error","code":"bad_channel","message":"subscribe \"fiver\": ` + tooLong + `"}`)
	p.says(`{"type":"publish","channel":"fiver","data":1}`)
	p.wants(`{"type":"error","code":"bad_channel","message":"publish \"fiver\": ` + tooLong + `"}`)
	p.says(`{"type":"unsubscribe","channel":"fives"}`) // from before
	p.wants(`{"type":"unsubscribed","channel":"fives"}`)
	lines := s.publisher()
	lines.sends(`{"channel":"fiver","data":1}` + "\n")
	if got, want := lines.line(), `{"line":1,"error":{"code":"bad_channel","message":"channel \"fiver\": `+tooLong+`"}}`; got != want {
		t.Errorf("received %s, want %s", got, want)
	}
	resp := s.publisher()
	resp.sends("PUBLISH fiver 1\r\n")
	resp.receives("-ERR " + tooLong + "\r\n")
	o := s.operator()
	o.refused(o.post("/api/publish", `{"channel":"fiver","data":1}`), http.StatusBadRequest, "bad_channel", tooLong)
}

// TestPingFlood has clients that send WebSocket pings without pause: one that
// reads the pongs, one that does not and is no longer read. Neither keeps another
// from being served.
func TestPingFlood(t *testing.T) {
	const pings = 200_000
	s := start(t, oneShard, noRates)
	reading, stuck, other := s.connect(), s.connectNarrow(), s.connect()
	if err := stuck.SetWriteBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	flood := strings.Repeat(clientFrame(ws.OpPing, true, "abcd"), pings)
	go io.WriteString(stuck.TCPConn, flood) // until the end
	go io.WriteString(reading.TCPConn, flood)
	pongs := make(chan error, 1)
	go func() {
		in := bufio.NewReaderSize(reading.TCPConn, 64<<10)
		for range pings {
			f, err := readFrame(in)
			if err == nil && (f.Header.OpCode != ws.OpPong || string(f.Payload) != "abcd") {
				err = fmt.Errorf("received opcode %#x with %q", f.Header.OpCode, f.Payload)
			}
			if err != nil {
				pongs <- err
				return
			}
		}
		pongs <- nil
	}()
	for range 100 {
		other.says(ping)
		other.wants(pong)
	}
	if err := <-pongs; err != nil {
		t.Error(err)
	}
	s.stops("the reading", func(g gateway.GatewayStats) uint64 { return g.Total.BytesIn })
	total := s.stats().Total
	if total.Lagging != 1 || total.BacklogBytes == 0 || total.BacklogBytes > 256<<10 {
		t.Errorf("the counters are %+v", total)
	}
	other.says(ping)
	other.wants(pong)
}
