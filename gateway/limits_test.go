package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

func TestClientChannels(t *testing.T) {
	eachLibrary(t, func(t *testing.T, open func(*server, ...string) *client) {
		s := start(t)
		c := open(s)
		c.welcome()
		for i := range 128 {
			c.subscribe(fmt.Sprint("channel-", i))
		}
		c.says(`{"type":"subscribe","id":1,"channel":"one-more"}`)
		c.wants(`{"type":"error","id":1,"code":"limit_exceeded","message":"subscribe \"one-more\": too many channels on one connection"}`)
		c.says(`{"type":"subscribe","id":2,"channel":"channel-5"}`)
		c.wants(`{"type":"error","id":2,"code":"already_subscribed","message":"subscribe \"channel-5\": already subscribed"}`)
		c.says(`{"type":"unsubscribe","channel":"channel-5"}`)
		c.wants(`{"type":"unsubscribed","channel":"channel-5"}`)
		c.subscribe("one-more")
		if total := s.stats().Total; total.Subscriptions != 128 || total.Channels != 128 {
			t.Errorf("the counters are %+v", total)
		}
	})
}

// TestMaxChannels fills the gateway with channels: who publishes goes on, unused
// channels make room, and what subscribers have stays.
func TestMaxChannels(t *testing.T) {
	patterns, err := gateway.ParsePatterns([]string{"**"})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, func(c *gateway.Config) { c.MaxChannels, c.ClientPublish = 2, patterns })
	p, upstream := s.connect(), s.publisher()
	p.subscribe("a")
	unused := upstream.publishes("b", "1") // without subscribers
	p.subscribe("c")                       // takes its place
	const full = `the gateway holds 2 channels, which is its limit`
	p.says(`{"type":"subscribe","id":1,"channel":"d"}`)
	p.wants(`{"type":"error","id":1,"code":"limit_exceeded","message":"subscribe \"d\": ` + full + `"}`)

	// Nobody is refused to publish, whatever clients hold.
	p.says(`{"type":"publish","id":2,"channel":"d","data":1}`)
	p.wants(`{"type":"published","id":2,"channel":"d","offset":1}`)
	if again := upstream.publishes("b", "1"); again.Offset != 1 || again.Epoch == unused.Epoch {
		t.Errorf("a forgotten channel goes on with %+v, was %+v", again, unused)
	}
	resp := s.publisher()
	resp.sends("PUBLISH d 1\r\n")
	resp.receives(":0\r\n")
	upstream.sends(`{"id":7,"channels":["a","d","c"],"data":5}` + "\n")
	if a := decode[answer](t, upstream.line()); a.Error != nil || len(a.Results) != 3 {
		t.Errorf("received %+v", a)
	}
	p.wants(event("a", 1, "5"), event("c", 1, "5"))
	streams := s.stats().Publish
	if streams.Streams != 2 || streams.CreditsUsed != 0 || streams.StreamsEvicted != 1 || streams.EventsUnkept != 4 {
		t.Errorf("the counters are %+v", streams)
	}
}

// TestUnusedChannelsShutNobodyOut publishes to ten times as many names as there is
// room for, and has clients make up as many, on a new connection each time their
// rate is used up: subscribers and publishers find room all the while.
func TestUnusedChannelsShutNobodyOut(t *testing.T) {
	t.Parallel() // it waits most of the time
	const room = 400
	s := start(t, func(c *gateway.Config) { c.MaxChannels, c.ClientPublish = room, gateway.Patterns{"**"} })
	upstream := s.publisher()
	kept := upstream.publishes("kept", "1")
	for connection := range 40 {
		p := s.connect()
		for i := range 100 {
			p.says(fmt.Sprintf(`{"type":"publish","channel":"made-up-%d","data":1}`, connection*100+i))
			if reply := decode[message](t, p.text()); reply.Type != "published" {
				t.Fatalf("a client's event is answered with %+v", reply)
			}
		}
		p.subscribe(fmt.Sprint("wanted-", connection))
		p.Close()
	}
	if now := upstream.publishes("kept", "1"); now.Epoch != kept.Epoch || now.Offset != 2 {
		t.Errorf("a publisher's channel goes on with %+v behind %+v", now, kept)
	}
	// What clients made up is gone before it.
	for i := range room - room/8 - 10 {
		upstream.publishes(fmt.Sprint("unheard-", i), "1")
	}
	if now := upstream.publishes("kept", "1"); now.Epoch != kept.Epoch || now.Offset != 3 {
		t.Errorf("a publisher's channel goes on with %+v behind %+v", now, kept)
	}
	for i := range 10 * room {
		upstream.publishes(fmt.Sprint("more-", i), "1")
	}
	late := s.connect()
	for i := range 30 {
		late.subscribe(fmt.Sprint("late-", i))
	}
	upstream.publishes("late-7", "1")
	late.wants(event("late-7", 1, "1"))
	if stats := s.stats().Publish; stats.Streams > room || stats.StreamsUnused != stats.Streams-30 || len(stats.Errors) != 0 {
		t.Errorf("the counters are %+v", stats)
	}
}

// TestFewSubscriptionsGoFirst has clients make up as many channels as they can: a
// client that comes later, and channels that are published to, find room.
func TestFewSubscriptionsGoFirst(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.MaxChannels = 1000 }, noRates)
	upstream := s.publisher()
	upstream.publishes("real", "1")
	made := 0
	for client := range 12 {
		p := s.connect()
		for i := 0; ; i++ {
			p.says(fmt.Sprintf(`{"type":"subscribe","channel":"made-up-%d-%d"}`, client, i))
			reply := decode[message](t, p.text())
			if reply.Type == "error" {
				if reply.Code != "limit_exceeded" || i < 8 {
					t.Fatalf("subscription %d of client %d is answered with %+v", i, client, reply)
				}
				break
			}
			made++
		}
	}
	if made > 875 {
		t.Errorf("clients made %d channels, more than seven eighths", made)
	}
	late := s.connect()
	for _, name := range []string{"real", "new", "newer"} {
		late.subscribe(name)
	}
	for _, name := range []string{"real", "new", "newer"} {
		upstream.publishes(name, "2")
	}
	late.wants(event("real", 2, "2"), event("new", 1, "2"), event("newer", 1, "2"))
}

// TestSlowConsumer has a client that does not read, beside one that does.
func TestSlowConsumer(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, oneShard, impatientOf(300*time.Millisecond))
	slow, healthy, upstream := s.connectNarrow(), s.connect(), s.publisher()
	epoch, _ := slow.subscribe("news")
	healthy.subscribe("news")
	data, published := `"`+strings.Repeat("x", 50_000)+`"`, uint64(0)
	for s.stats().Total.Clients == 2 {
		if s.stats().Total.BacklogBytes > 2<<20 {
			continue // that will do
		}
		published++
		if r := upstream.publishes("news", data); r.Offset != published || r.Epoch != epoch {
			t.Fatalf("published with %+v", r)
		}
		healthy.wants(event("news", published, data))
	}
	// The session is over, its socket may live on for the last words.
	if total := s.stats().Total; total.Clients != 1 || total.Subscriptions != 1 || total.BacklogBytes > int64(len(data)+100) {
		t.Errorf("the counters are %+v", total)
	}

	// What the client finds is whole frames in order, then the reason.
	slow.in = bufio.NewReaderSize(slow.TCPConn, 1<<20)
	received := uint64(0)
	for {
		f := slow.frame()
		if f.Header.OpCode == ws.OpClose {
			if code, reason := ws.ParseCloseFrameData(f.Payload); code != 1013 || reason != "slow consumer" {
				t.Errorf("closed with %d %q", code, reason)
			}
			break
		}
		received++
		if got := string(f.Payload); got != event("news", received, data) {
			t.Fatalf("event %d is %.80q", received, got)
		}
	}
	slow.ends()
	slow.Close()
	if received >= published {
		t.Errorf("received %d of %d events", received, published)
	}
	stats := s.eventually("the end of the slow client", func(g gateway.GatewayStats) bool { return g.Total.Connections == 1 })
	if stats.Total.Disconnects["slow_consumer"] != 1 || stats.Total.BacklogBytes != 0 || stats.Publish.CreditsUsed != 0 {
		t.Errorf("the counters are %+v", stats)
	}
	upstream.publishes("news", "0")
	healthy.wants(event("news", published+1, "0"))
}

// stall fills the socket of a client that does not read.
func (s *server) stall(upstream *peer, channel string) {
	s.Helper()
	data := `"` + strings.Repeat("x", 60_000) + `"`
	for s.stats().Total.BacklogBytes == 0 {
		upstream.publishes(channel, data)
	}
}

// One that never reads is reset when its time for the last words is over.
func TestSlowConsumerIsReset(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, impatientOf(100*time.Millisecond))
	p, upstream := s.connectNarrow(), s.publisher()
	p.subscribe("news")
	s.stall(upstream, "news")
	stats := s.eventually("the end", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
	if stats.Total.Disconnects["slow_consumer"] != 1 || stats.Total.BacklogBytes != 0 {
		t.Errorf("the counters are %+v", stats.Total)
	}
	if _, err := io.Copy(io.Discard, p.in); err == nil {
		t.Error("the connection ended with a FIN, want a reset")
	}
}

// TestOversizedEvent has events that are larger than what may wait: the newest
// one is kept all the same.
func TestOversizedEvent(t *testing.T) {
	s := start(t, func(c *gateway.Config) {
		c.MaxEvent, c.BacklogBytes, c.BacklogMessages = 1<<20, 1000, 1000
		c.SlowPolicy = gateway.SlowDropOldest
	})
	p, upstream := s.connectNarrow(), s.publisher()
	p.subscribe("news")
	p.in = bufio.NewReaderSize(p.TCPConn, 1<<20)
	data := `"` + strings.Repeat("x", 512<<10) + `"`
	for offset := uint64(1); offset <= 2; offset++ {
		upstream.publishes("news", data)
		s.eventually("a backlog", func(g gateway.GatewayStats) bool { return g.Total.BacklogBytes > 1000 })
		p.wants(event("news", offset, data))
		s.eventually("its end", func(g gateway.GatewayStats) bool { return g.Total.BacklogBytes == 0 })
	}
	upstream.publishes("news", data)
	s.eventually("a backlog", func(g gateway.GatewayStats) bool { return g.Total.BacklogBytes > 1000 })
	upstream.publishes("news", data)
	upstream.publishes("news", data) // it takes the place of the one before
	p.wants(event("news", 3, data))  // half out already, so it is completed
	p.wants(`{"type":"gap","channel":"news","from":4,"to":4}`)
	p.wants(event("news", 5, data))
}

// pings are as many commands, with the replies to them.
func pings(n int) (commands string, replies []string) {
	var all strings.Builder
	for id := range n {
		all.WriteString(clientFrame(ws.OpText, true, fmt.Sprintf(`{"type":"ping","id":%d}`, id)))
		replies = append(replies, fmt.Sprintf(`{"type":"pong","id":%d}`, id))
	}
	return all.String(), replies
}

// TestUnreadReplies has a client that sends commands and reads no reply: it is
// no longer read, and loses nothing when it reads again.
func TestUnreadReplies(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, noRates)
	p := s.connectNarrow()
	if err := p.SetWriteBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	commands, replies := pings(50_000)
	go io.WriteString(p.TCPConn, commands) // the replies will tell
	s.stops("the reading", func(g gateway.GatewayStats) uint64 { return g.Total.BytesIn })
	if total := s.stats().Total; total.BytesIn >= uint64(len(commands)) || total.BacklogBytes == 0 || total.BacklogBytes > 256<<10 {
		t.Errorf("the counters are %+v", total)
	}
	p.in = bufio.NewReaderSize(p.TCPConn, 1<<20)
	p.wants(replies...)
}

// TestSlowConsumerAmidReplies overruns a backlog whose first frame is a reply
// that is half out: its end must follow before the close frame.
func TestSlowConsumerAmidReplies(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, noRates, impatientOf(100*time.Millisecond))
	p, upstream := s.connectNarrow(), s.publisher()
	p.subscribe("news")
	commands, _ := pings(30_000)
	go io.WriteString(p.TCPConn, commands) // until the end
	s.stops("the reading", func(g gateway.GatewayStats) uint64 { return g.Total.BytesIn })
	upstream.publishes("news", "1")
	s.eventually("the end", func(g gateway.GatewayStats) bool { return g.Total.Clients == 0 })
	for id := 0; ; id++ {
		f := p.frame()
		if f.Header.OpCode == ws.OpClose {
			if code, reason := ws.ParseCloseFrameData(f.Payload); code != 1013 || reason != "slow consumer" {
				t.Errorf("closed with %d %q", code, reason)
			}
			break
		}
		if got, want := string(f.Payload), fmt.Sprintf(`{"type":"pong","id":%d}`, id); got != want {
			t.Fatalf("received %.80q, want %s", got, want)
		}
	}
	p.ends()
}
