package gateway_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
	"fleetcast/gateway/dialect"
)

// twoDialects has clients speak fleetcast.v1 and the toy dialect.
func twoDialects(c *gateway.Config) {
	c.Dialects = append(c.Dialects, toy{new(atomic.Int64)})
}

// speaking makes a client of a dialect, which is named if it is not the first, and
// returns its welcome.
func (s *server) speaking(p *peer, name string, deflates bool) (_ *peer, welcome string) {
	s.Helper()
	fields := ""
	if name != "" {
		fields += "Sec-WebSocket-Protocol: other, " + name + "\r\n"
	}
	if deflates {
		fields += "Sec-WebSocket-Extensions: " + bareOffer + "\r\n"
	}
	p.sends(head + fields + "\r\n")
	answer := p.upgraded()
	if agreed := strings.Contains(answer, "Sec-WebSocket-Protocol: "+name+"\r\n"); agreed != (name != "") {
		s.Fatalf("%q was answered with %q", name, answer)
	}
	return p, p.text()
}

func (s *server) toy() *peer {
	s.Helper()
	p, _ := s.speaking(s.dialRaw(), toyName, false)
	return p
}

// TestDialectsShareAChannel has clients of two dialects, with and without compression, on
// several shards: each gets what is published in its own words, and the bytes of each
// format are made once for each event, whichever dialect is the first.
func TestDialectsShareAChannel(t *testing.T) {
	const events, ofEach = 40, 6
	for _, toyFirst := range []bool{false, true} {
		var words, toyWords atomic.Int64
		v1, other := counted{worded: &words}, toy{&toyWords}
		s := start(t, noRates, func(c *gateway.Config) {
			c.Shards, c.CompressFrom, c.ClientPublish = 3, 100, gateway.Patterns{"**"}
			c.Dialects = []dialect.Dialect{v1, other}
			if toyFirst {
				c.Dialects = []dialect.Dialect{other, v1}
			}
		})
		type client struct {
			*peer
			toy, deflates bool
		}
		var clients []client
		for i := range 4 * ofEach {
			c := client{toy: i%2 == 1, deflates: i/2%2 == 1}
			name, join := "fleetcast.v1", `{"type":"subscribe","channel":"news"}`
			if c.toy {
				name, join = toyName, "join news"
			}
			c.peer, _ = s.speaking(s.dialRaw(), name, c.deflates)
			c.says(join)
			c.text()
			clients = append(clients, c)
		}
		speaker := s.toy()
		want := make([]string, events)
		for i := range want {
			want[i] = fmt.Sprintf(`{"n":%d,"text":"%s"}`, i, strings.Repeat("abc", 100))
			if toyFirst {
				s.publish("news", want[i])
				continue
			}
			speaker.says("say news " + want[i])
			speaker.wants(fmt.Sprintf("said news %d", i+1))
		}
		for _, c := range clients {
			for i, data := range want {
				text, _, compressed := c.takes()
				worded := event("news", uint64(i+1), data)
				if c.toy {
					worded = toyEvent("news", uint64(i+1), data)
				}
				if text != worded || compressed != c.deflates {
					t.Fatalf("toy %v, deflates %v: received\n%.90s (compressed: %v), want\n%.90s", c.toy, c.deflates, text, compressed, worded)
				}
			}
		}
		if n, m, compressed := words.Load(), toyWords.Load(), s.stats().Compression.Events; n != events || m != events || compressed != 2*events {
			t.Errorf("%d events were worded %d and %d times, and compressed %d times; want each once, and compressed once for each dialect", events, n, m, compressed)
		}
	}
}

// TestDialectWords has a client of another dialect go through all that a client is told.
func TestDialectWords(t *testing.T) {
	s := start(t, twoDialects, func(c *gateway.Config) { c.ClientPublish = gateway.Patterns{"chat"} })
	p, welcome := s.speaking(s.dialRaw(), toyName, false)
	if id, rest, _ := strings.Cut(welcome, ","); len(id) != len("hello ")+16 || rest != " up to 128 channels, pings every 10m0s" {
		t.Errorf("the welcome is %q", welcome)
	}
	for _, step := range []struct{ says, hears string }{
		{"hello?", "hello!"},
		{"here", ""}, // asks for nothing
		{"dance", `no  of "": bad_request`},
		{"join chat", "joined chat "},
		{"join chat", `no subscribe of "chat": already_subscribed`},
		{"say chat 1", `event chat 1 "1"`},
		{"say news 1", `no publish of "news": permission_denied`},
		{"leave chat", "left chat"},
		{"leave chat", `no unsubscribe of "chat": not_subscribed`},
	} {
		p.says(step.says)
		if step.hears == "" {
			continue
		}
		text := p.text()
		if strings.HasPrefix(text, "said ") { // the reply may come before or behind the event
			text = p.text()
		} else if strings.HasPrefix(text, "event ") {
			p.wants("said chat 1")
		}
		if !strings.HasPrefix(text, step.hears) {
			t.Errorf("%s: received %q, want %q", step.says, text, step.hears)
		}
	}
	p.sends(clientFrame(ws.OpBinary, true, "hello?"))
	p.wants("hello!")
	first := s.connect()
	first.sends(clientFrame(ws.OpBinary, true, "hello?"))
	if m := decode[message](t, first.text()); m.Code != "bad_request" {
		t.Errorf("the first dialect answers a binary message with %+v", m)
	}
	// A frame that is not masked is a protocol error.
	offender := s.toy()
	offender.sends("\x81\x01a")
	offender.closes(ws.StatusProtocolError+3000, "FRAME FROM A CLIENT IS NOT MASKED")

	result := s.drain(patience)
	p.wants("bye: draining, true")
	p.closes(ws.StatusGoingAway+3000, "DRAINING")
	p.Close()
	if m := decode[message](t, first.text()); m.Type != "goodbye" {
		t.Errorf("the first dialect says %+v when the gateway stops", m)
	}
	first.closes(ws.StatusGoingAway, "draining")
	first.Close()
	if err := s.drained(result); err != nil {
		t.Error(err)
	}
}

// TestDialectPingsInMessages has clients of a dialect whose ping is a message: one answers,
// the other does not. An answer is no command: it is not refused when the rate allows none.
func TestDialectPingsInMessages(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, twoDialects, func(c *gateway.Config) {
		c.PingInterval, c.PongTimeout = 2*time.Second, time.Second
		c.ClientCommands = gateway.Rate{PerSecond: 0.01, Burst: 1}
	})
	lives, silent := s.toy(), s.toy()
	lives.says("hello?")
	hellos, pings := 0, 0
	for hellos == 0 || pings < 2 {
		switch text := lives.text(); {
		case text == "there?":
			pings++
			lives.says("here")
		case text == "hello!" && hellos == 0:
			hellos++
		default:
			t.Fatalf("received %q", text)
		}
	}
	silent.wants("there?")
	silent.ends()
	if n := s.stats().Total.Disconnects["ping_timeout"]; n != 1 {
		t.Errorf("%d clients were taken for gone, want 1", n)
	}
}

// TestSlowPoliciesAcrossDialects has clients in all formats stop reading, and go on: every
// event is either delivered or in a gap, in the words of the client's dialect.
func TestSlowPoliciesAcrossDialects(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	for name, test := range map[string]struct {
		policy     gateway.SlowPolicy
		compressed gateway.Patterns
	}{
		"drop_oldest":              {gateway.SlowDropOldest, gateway.Patterns{"**"}},
		"conflate":                 {gateway.SlowConflate, gateway.Patterns{"**"}},
		"conflate, not compressed": {gateway.SlowConflate, gateway.Patterns{"other"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, twoDialects, noPings, neverSlow, func(c *gateway.Config) {
				c.SlowPolicy, c.BacklogMessages, c.Compress = test.policy, 10, test.compressed
			})
			type client struct {
				*peer
				*ledger
				toy bool
			}
			var clients []client
			for i := range 4 {
				c := client{ledger: newLedger(t), toy: i%2 == 1}
				name, join := "", `{"type":"subscribe","channel":"news"}`
				if c.toy {
					name, join = toyName, "join news"
				}
				c.peer, _ = s.speaking(dial(t, s.clientAddr(), 4<<10), name, i >= 2)
				c.peer.in = bufio.NewReaderSize(c.peer.TCPConn, 1<<20)
				c.says(join)
				c.text()
				c.next["news"] = 1
				clients = append(clients, c)
			}
			upstream, published := s.publisher(), uint64(0)
			for s.stats().Total.Lagging < int64(len(clients)) || published < 400 {
				noise := make([]byte, 3_500)
				random.Read(noise)
				published = upstream.publishes("news", fmt.Sprintf(`"%x"`, noise)).Offset
			}
			missed := uint64(0)
			for i, c := range clients {
				for c.next["news"] <= published {
					text, _, _ := c.peer.takes()
					if c.toy {
						c.ledger.takes(toyMessage(t, text))
					} else {
						c.ledger.takes(decode[message](t, text))
					}
				}
				if c.missed["news"] == 0 {
					t.Errorf("client %d was told of no gap", i)
				}
				missed += c.missed["news"]
			}
			stats := s.eventually("the end of the backlogs", func(g gateway.GatewayStats) bool { return g.Total.Lagging == 0 })
			if stats.Total.Dropped != missed || stats.BacklogMemory != 0 {
				t.Errorf("%d events were dropped and %d told; %d bytes are held", stats.Total.Dropped, missed, stats.BacklogMemory)
			}
		})
	}
}

// TestSlowClientOfAnotherDialectIsDisconnected reads the close that ends a client which is too slow.
func TestSlowClientOfAnotherDialectIsDisconnected(t *testing.T) {
	s := start(t, twoDialects, noPings, func(c *gateway.Config) { c.SlowAfter = 100 * time.Millisecond })
	p, _ := s.speaking(dial(t, s.clientAddr(), 4<<10), toyName, false)
	p.says("join news")
	p.text()
	data := []byte(`"` + strings.Repeat("x", 30_000) + `"`)
	for s.stats().Total.Disconnects["slow_consumer"]+uint64(s.stats().Total.Lagging) == 0 {
		s.Feed([]byte("news"), data, 1)
	}
	s.eventually("the end", func(g gateway.GatewayStats) bool { return g.Total.Clients == 0 })
	for {
		f := p.frame()
		if f.Header.OpCode == ws.OpClose {
			code, reason := ws.ParseCloseFrameData(f.Payload)
			if code != 4013 || reason != "SLOW CONSUMER" {
				t.Errorf("closed with %d %q", code, reason)
			}
			return
		}
		toyMessage(t, string(f.Payload))
	}
}

// TestUnknownSubprotocolSpeaksTheFirstDialect also checks that a client may name several.
func TestUnknownSubprotocolSpeaksTheFirstDialect(t *testing.T) {
	s := start(t, twoDialects)
	for offered, want := range map[string]string{"": "", "other": "", "toy.v2, fleetcast.v1": "fleetcast.v1", "other, toy.v2": toyName} {
		p := s.dialRaw()
		fields := ""
		if offered != "" {
			fields = "Sec-WebSocket-Protocol: " + offered + "\r\n"
		}
		p.sends(head + fields + "\r\n")
		_, chosen, _ := strings.Cut(p.upgraded(), "Sec-WebSocket-Protocol: ")
		chosen, _, _ = strings.Cut(chosen, "\r\n")
		if welcome := p.text(); chosen != want || strings.HasPrefix(welcome, "hello ") != (want == toyName) {
			t.Errorf("%q: %q was chosen, and the welcome is %q", offered, chosen, welcome)
		}
	}
}
