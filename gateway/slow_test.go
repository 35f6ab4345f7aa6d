package gateway_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// ledger is what a client keeps of its channels: the next offset of each, and
// what it was told it will not get.
type ledger struct {
	testing.TB
	next   map[string]uint64
	missed map[string]uint64 // events in gaps
	gaps   int
	gapped map[string]bool   // the last of the channel was a gap
	others bool              // more channels share the backlog: one may drop what is new of another
	data   map[string]string // the latest
}

func newLedger(tb testing.TB) *ledger {
	return &ledger{TB: tb, next: make(map[string]uint64), missed: make(map[string]uint64), gapped: make(map[string]bool), data: make(map[string]string)}
}

// takes enters one message. Each event must be the next one, or behind a gap that
// tells of all before it.
func (l *ledger) takes(m message) {
	l.Helper()
	next, known := l.next[m.Channel]
	switch {
	case m.Type == "subscribed":
		l.next[m.Channel] = m.Offset + 1
	case !known:
		l.Fatalf("received %+v of a channel that is not subscribed to", m)
	case m.Type == "event" && m.Offset == next:
		l.next[m.Channel]++
		l.gapped[m.Channel] = false
		l.data[m.Channel] = string(m.Data)
	case m.Type == "gap" && m.From == next && m.To >= m.From && (l.others || !l.gapped[m.Channel]):
		l.next[m.Channel] = m.To + 1
		l.missed[m.Channel] += m.To - m.From + 1
		l.gaps++
		l.gapped[m.Channel] = true
	default:
		l.Fatalf("received %+v when offset %d of %q was due; the last was a gap: %v", m, next, m.Channel, l.gapped[m.Channel])
	}
}

// readsTo reads until the channel has come to an offset.
func (l *ledger) readsTo(p *peer, channel string, offset uint64) {
	l.Helper()
	for l.next[channel] <= offset {
		text, _, _ := p.takes()
		l.takes(decode[message](l, text))
	}
}

// TestSlowPoliciesTellEverything has a client stop reading, and go on, for each
// policy that keeps it: every event is either delivered or in a gap, in order.
func TestSlowPoliciesTellEverything(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	data := func(i int) string {
		noise := make([]byte, 3_500) // or compressed events would never fill a socket
		random.Read(noise)
		return fmt.Sprintf(`"%d %x"`, i, noise)
	}
	for name, test := range map[string]struct {
		policy   gateway.SlowPolicy
		messages int
		deflate  bool
		keys     int
		most     int // events of the stalled time that may be delivered, beyond what the sockets hold; two of a key
	}{
		"drop_oldest":            {gateway.SlowDropOldest, 10, false, 1, 10},
		"drop_oldest, to one":    {gateway.SlowDropOldest, 1, false, 1, 1},
		"conflate":               {gateway.SlowConflate, 1000, false, 1, 2},
		"conflate by key":        {gateway.SlowConflate, 1000, false, 5, 10},
		"conflate over the room": {gateway.SlowConflate, 3, false, 5, 6},
		"conflate, compressed":   {gateway.SlowConflate, 1000, true, 5, 10},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, oneShard, func(c *gateway.Config) {
				c.SlowPolicy, c.BacklogMessages, c.BacklogBytes = test.policy, test.messages, 64<<20
			})
			p, healthy, upstream := s.connectNarrow(), s.connect(), s.publisher()
			if test.deflate {
				p.Close()
				p, _ = s.connectDeflating(dial(t, s.clientAddr(), 4<<10), bareOffer)
			}
			p.in = bufio.NewReaderSize(p.TCPConn, 1<<20)
			l, all := newLedger(t), newLedger(t)
			for _, subscriber := range []*peer{p, healthy} {
				subscriber.says(`{"type":"subscribe","channel":"news"}`)
			}
			l.takes(decode[message](t, p.text()))
			all.takes(decode[message](t, healthy.text()))
			published, last := 0, ""
			publish := func() {
				published++
				last = data(published)
				upstream.sends(fmt.Sprintf(`{"id":1,"channel":"news","key":"k%d","data":%s}`+"\n", published%test.keys, last))
				upstream.line()
				all.readsTo(healthy, "news", uint64(published))
			}
			for round := range 3 {
				for s.stats().Total.BacklogBytes == 0 {
					publish()
				}
				stalledAt := published
				for range 200 {
					publish()
				}
				before := s.stats().Total
				if before.Disconnects["slow_consumer"] > 0 {
					t.Fatal("the client was disconnected")
				}
				missed := l.missed["news"]
				l.readsTo(p, "news", uint64(published))
				if got := published - stalledAt - int(l.missed["news"]-missed); got > test.most+1 {
					t.Errorf("round %d: %d events of the stalled time were delivered, want at most %d and one that was half out", round, got, test.most)
				}
				if l.data["news"] != last {
					t.Errorf("round %d: the last event is %.20q", round, l.data["news"])
				}
				stats := s.eventually("the end of the backlog", func(g gateway.GatewayStats) bool { return g.Total.Lagging == 0 })
				if stats.Total.Dropped != l.missed["news"] || stats.Total.Gaps != uint64(l.gaps) || stats.BacklogMemory != 0 {
					t.Errorf("round %d: %d dropped, %d gaps, %d bytes are held; the client missed %d in %d", round,
						stats.Total.Dropped, stats.Total.Gaps, stats.BacklogMemory, l.missed["news"], l.gaps)
				}
				// One that keeps up again gets every event.
				missed = l.missed["news"]
				for range 20 {
					publish()
					l.readsTo(p, "news", uint64(published))
				}
				if l.missed["news"] != missed {
					t.Errorf("round %d: a client that keeps up missed %d events", round, l.missed["news"]-missed)
				}
			}
			if all.gaps != 0 {
				t.Errorf("the other client was told of %d gaps", all.gaps)
			}
		})
	}
}

// TestConflateLetsTheHottestKeyLeave has a client read slowly while many keys change,
// and one of them in every second event: values of that one leave in their turn,
// although a newer one always waits.
func TestConflateLetsTheHottestKeyLeave(t *testing.T) {
	const keys, turns, size = 40, 2, 2000
	s := start(t, oneShard, func(c *gateway.Config) {
		c.SlowPolicy, c.BacklogMessages, c.BacklogBytes = gateway.SlowConflate, 1000, 64<<20
	})
	p, upstream := s.connectNarrow(), s.publisher()
	p.says(`{"type":"subscribe","channel":"prices"}`)
	l := newLedger(t)
	l.takes(decode[message](t, p.text()))
	padding, published := strings.Repeat("x", size), 0
	publish := func(key string) {
		published++
		upstream.sends(fmt.Sprintf(`{"id":1,"channel":"prices","key":"%s","data":"%s %d %s"}`+"\n", key, key, published, padding))
		upstream.line()
	}
	for i := 0; s.stats().Total.BacklogBytes < keys*size; i++ {
		publish(fmt.Sprint("k", i%keys))
	}
	full := published
	for hot, i, end := 0, 0, time.Now().Add(20*time.Second); hot < turns; i++ {
		if time.Now().After(end) {
			t.Fatalf("%d values of the hottest key arrived among %d events, want %d", hot, published-full, turns)
		}
		publish("hot")
		publish(fmt.Sprint("k", i%keys))
		text, _, _ := p.takes()
		m := decode[message](t, text)
		l.takes(m)
		if m.Type == "event" && strings.HasPrefix(string(m.Data), `"hot `) {
			hot++
		}
		if waiting := s.stats().Total.BacklogBytes; waiting > (2*(keys+1)+2)*(size+100) { // one is due, one half out
			t.Fatalf("%d bytes of %d keys wait", waiting, keys+1)
		}
	}
	publish("hot")
	l.readsTo(p, "prices", uint64(published))
	if want := fmt.Sprintf(`"hot %d `, published); !strings.HasPrefix(l.data["prices"], want) {
		t.Errorf("the last event is %.20s, want %s", l.data["prices"], want)
	}
	stats := s.eventually("the end of the backlog", func(g gateway.GatewayStats) bool { return g.Total.Lagging == 0 })
	if stats.Total.Dropped != l.missed["prices"] || stats.BacklogMemory != 0 {
		t.Errorf("%d dropped, %d bytes are held; the client missed %d", stats.Total.Dropped, stats.BacklogMemory, l.missed["prices"])
	}
}

// TestControlFramesPassABacklog has a client with a full backlog ask and leave:
// the answers come before the events that wait in the gateway.
func TestControlFramesPassABacklog(t *testing.T) {
	s := start(t, oneShard, neverSlow)
	p, upstream := s.connectNarrow(), s.publisher()
	p.in = bufio.NewReaderSize(p.TCPConn, 1<<20)
	p.subscribe("news")
	s.stall(upstream, "news")
	const size = 60_000
	for range 100 {
		upstream.publishes("news", `"`+strings.Repeat("x", size)+`"`)
	}
	waits := int(s.stats().Total.BacklogBytes / size)
	p.sends(clientFrame(ws.OpPing, true, "sign of life"))
	p.says(`{"type":"ping","id":7}`)
	p.says(`{"type":"subscribe","id":8,"channel":"sport"}`)
	s.eventually("the commands", func(g gateway.GatewayStats) bool { return g.Total.ClientMessages >= 3 })
	events, answers := 0, 0
	for {
		f := p.frame()
		switch {
		case f.Header.OpCode == ws.OpPong && string(f.Payload) == "sign of life":
			answers++
		case strings.Contains(string(f.Payload), `"id":7`), strings.Contains(string(f.Payload), `"id":8`):
			answers++
		default:
			events++
		}
		if answers == 3 {
			break
		}
	}
	total := s.stats().Total
	if waits < 90 || total.BacklogBytes < int64((waits-40)*size) {
		t.Errorf("%d events waited, and the answers came behind %d; %d bytes wait still", waits, events, total.BacklogBytes)
	}
	// What is left of the channel goes with the subscription.
	p.says(`{"type":"unsubscribe","id":9,"channel":"news"}`)
	for !strings.Contains(string(p.frame().Payload), `"id":9`) {
	}
	stats := s.eventually("the end of the backlog", func(g gateway.GatewayStats) bool { return g.Total.BacklogBytes == 0 })
	if stats.Total.Gaps != 0 || stats.BacklogMemory != 0 {
		t.Errorf("the counters are %+v", stats)
	}
	upstream.publishes("sport", "1")
	p.wants(event("sport", 1, "1"))
}

// TestSlowRules gives channels policies of their own, and changes them while
// clients lag.
func TestSlowRules(t *testing.T) {
	t.Parallel() // it waits most of the time
	config := func(c *gateway.Config) {
		c.BacklogMessages, c.SlowAfter = 5, time.Second
		c.SlowRules = []gateway.SlowRule{{Pattern: "prices.*", Policy: gateway.SlowConflate}, {Pattern: "chat*", Policy: gateway.SlowDropOldest}}
	}
	s := start(t, oneShard, config)
	upstream := s.publisher()
	filler := `"` + strings.Repeat("x", 60_000) + `"`
	lagging := func(channel string) *peer {
		p := s.connectNarrow()
		p.in = bufio.NewReaderSize(p.TCPConn, 1<<20)
		p.subscribe(channel)
		for before := s.stats().Total.Lagging; s.stats().Total.Lagging == before; {
			upstream.publishes(channel, filler)
		}
		for range 20 {
			upstream.publishes(channel, filler)
		}
		return p
	}
	prices, chat, news := lagging("prices.eur"), lagging("chat"), lagging("news")
	s.eventually("the end of the one of news", func(g gateway.GatewayStats) bool { return g.Total.Clients == 2 })
	news.Close()
	for channel, p := range map[string]*peer{"prices.eur": prices, "chat": chat} {
		l := newLedger(t)
		l.next[channel] = 1
		last := upstream.publishes(channel, "1").Offset
		l.readsTo(p, channel, last)
		if l.gaps == 0 {
			t.Errorf("%s: nothing was dropped", channel)
		}
	}
	next := gateway.DefaultConfig(10_000)
	config(&next)
	next.SlowRules = nil
	if err := s.Reconfigure(next); err != nil {
		t.Fatal(err)
	}
	lagging("prices.eur").Close()
	s.eventually("the end of both who lagged", func(g gateway.GatewayStats) bool { return g.Total.Disconnects["slow_consumer"] == 2 })
}

// TestSlowStress has clients stall, resume, subscribe, leave and go while events
// flow on channels of each policy, and every one of them checks that it was told
// of everything. Fan-outs are cut into the smallest slices that there are.
func TestSlowStress(t *testing.T) {
	s := start(t, func(c *gateway.Config) {
		c.BacklogMessages, c.BacklogBytes = 8, 200_000
		c.SlowRules = []gateway.SlowRule{{Pattern: "c*", Policy: gateway.SlowConflate}, {Pattern: "d*", Policy: gateway.SlowDropOldest}}
		c.MaxMessage = 1 << 20
	})
	s.CutFanOuts()
	channels := []string{"c1", "c2", "d1", "d2"}
	crowd := startSwarm(t, s.ClientAddrs()[0], "") // so that there is something to cut
	for _, channel := range channels {
		crowd.joins(t, channel, 20)
	}
	stop := make(chan struct{})
	var publishing sync.WaitGroup
	for i := range 2 {
		upstream := s.publisher()
		publishing.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for {
				select {
				case <-stop:
					return
				default:
				}
				upstream.sends(fmt.Sprintf(`{"id":1,"channel":%q,"key":"k%d","data":"%s"}`+"\n",
					channels[random.IntN(len(channels))], random.IntN(3), strings.Repeat("x", random.IntN(20_000))))
				upstream.line()
			}
		})
	}
	rounds := 8
	if raceDetected() {
		rounds = 5
	}
	t.Run("clients", func(t *testing.T) {
		for i := range 8 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(uint64(i), 2))
				for range 3 {
					p := s.connectNarrow()
					p.TB, p.in = t, bufio.NewReaderSize(p.TCPConn, 64<<10)
					stressClient(t, p, random, channels, rounds)
					p.Close()
				}
			})
		}
	})
	close(stop)
	publishing.Wait()
	if s.stats().Total.FanOutCuts == 0 {
		t.Error("no fan-out was cut")
	}
	crowd.drop()
	stats := s.eventually("all gone", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
	if stats.BacklogMemory != 0 || stats.Total.BacklogBytes != 0 || stats.Total.Disconnects["slow_consumer"] != 0 {
		t.Errorf("at the end: %+v", stats)
	}
	if stats.Total.Gaps == 0 {
		t.Error("nobody lagged")
	}
}

// stressClient reads some, says something, and reads on.
func stressClient(t *testing.T, p *peer, random *rand.Rand, channels []string, rounds int) {
	l := newLedger(t)
	l.others = true
	pending := make(map[string]bool) // channels with a command that is not answered
	for range rounds {
		channel := channels[random.IntN(len(channels))]
		if !pending[channel] {
			pending[channel] = true
			verb := "subscribe"
			if _, subscribed := l.next[channel]; subscribed {
				verb = "unsubscribe"
			}
			p.says(fmt.Sprintf(`{"type":%q,"channel":%q}`, verb, channel))
		}
		if random.IntN(3) == 0 {
			time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond) // a stall, not a wait for something
		}
		for range random.IntN(30) {
			if len(l.next)+len(pending) == 0 {
				break
			}
			f := p.frame()
			var m message
			if err := json.Unmarshal(f.Payload, &m); err != nil {
				continue // a ping
			}
			switch m.Type {
			case "subscribed":
				delete(pending, m.Channel)
				delete(l.gapped, m.Channel)
				l.takes(m)
			case "unsubscribed":
				delete(pending, m.Channel)
				delete(l.next, m.Channel)
			default:
				l.takes(m)
			}
			if len(l.next) == 0 && len(pending) == 0 {
				break
			}
		}
	}
}

// TestSendBufferShowsLag has a client that does not read: the smaller the
// kernel's send buffer, the sooner the gateway knows.
func TestSendBufferShowsLag(t *testing.T) {
	taken := func(sendBuffer int) uint64 {
		s := start(t, oneShard, func(c *gateway.Config) { c.SendBuffer = sendBuffer })
		p, upstream := s.connectNarrow(), s.publisher()
		p.subscribe("news")
		for s.stats().Total.Lagging == 0 {
			upstream.publishes("news", `"`+strings.Repeat("x", 1000)+`"`)
		}
		return s.stats().Total.BytesOut
	}
	usual, small := taken(0), taken(8<<10)
	t.Logf("a socket took %d bytes, with a send buffer of 8 KiB %d", usual, small)
	if small >= usual {
		t.Errorf("with a send buffer of 8 KiB a socket took %d bytes, %d without", small, usual)
	}
	if most := uint64(64<<10 + 64<<10); usual > most { // unsent, and what the client's side takes
		t.Errorf("a socket of a client that does not read took %d bytes, want at most %d", usual, most)
	}
}
