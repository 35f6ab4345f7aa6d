package gateway_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway"
)

// joins adds n clients that subscribe to a channel.
func (s *swarm) joins(t *testing.T, channel string, n int) {
	t.Helper()
	set := make(chan struct{})
	s.post(func() { s.hello = greeting(channel, ""); close(set) })
	<-set
	s.grow(n, func(want int64) {
		until(t, "every client is subscribed", func() bool { return s.subscribed.Load() == want })
	})
}

// pauses has every client stop reading, or go on.
func (s *swarm) pauses(paused bool) {
	done := make(chan struct{})
	s.post(func() {
		for _, c := range s.clients {
			if paused {
				c.PauseReading()
			} else {
				c.ResumeReading()
			}
		}
		close(done)
	})
	<-done
}

// getAll waits until every client has so many bytes of events, and no more.
func (s *swarm) getAll(t *testing.T, want int) {
	t.Helper()
	until(t, "every client has everything", func() bool {
		all := make(chan bool)
		s.post(func() {
			complete := true
			for _, c := range s.clients {
				complete = complete && c.taken == want
			}
			all <- complete
		})
		return <-all
	})
}

// frameLength is the length of an event as it goes over the wire, for events of
// 126 to 65,535 bytes.
func frameLength(channel string, offset uint64, data string) int {
	return 4 + len(event(channel, offset, data))
}

// TestBacklogMemory has very many clients stall on busy channels, each with room
// for far more than there is memory in all: what they hold stays within the
// bound, the others get everything.
func TestBacklogMemory(t *testing.T) {
	const channels, limit, credits = 50, 8 << 20, 2 << 20
	stalledEach, healthyEach := scaled(40, 5), scaled(10, 5)
	s := start(t, func(c *gateway.Config) {
		neverSlow(c)
		c.BacklogMemory, c.Credits = limit, credits
		c.History = gateway.History{} // it keeps events too, within a bound of its own
		c.PingInterval, c.PongTimeout = time.Hour, time.Hour
	})
	stalled, healthy := startSwarm(t, s.ClientAddrs()[0], ""), startSwarm(t, s.ClientAddrs()[0], "")
	var names []string
	for i := range channels {
		names = append(names, fmt.Sprintf("channel-%02d", i))
		stalled.joins(t, names[i], stalledEach)
		healthy.joins(t, names[i], healthyEach)
	}
	stalled.pauses(true)
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)

	upstream := s.publisher()
	data := `"` + strings.Repeat("x", 8000) + `"`
	want, most, mostHeap := 0, int64(0), uint64(0)
	for offset := uint64(1); offset <= 200; offset++ {
		upstream.sends(fmt.Sprintf(`{"id":1,"channels":["%s"],"data":%s}`+"\n", strings.Join(names, `","`), data))
		if a := decode[answer](t, upstream.line()); len(a.Results) != channels {
			t.Fatalf("received %+v", a)
		}
		want += frameLength(names[0], offset, data)
		if offset%10 == 0 {
			most = max(most, s.stats().BacklogMemory)
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			mostHeap = max(mostHeap, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
		}
	}
	published := int64(200 * channels * len(data))
	t.Logf("%d MB published to %d clients that stall: at most %.1f MB held, heap %.1f MB more than before", published>>20, channels*stalledEach, float64(most)/(1<<20), float64(mostHeap)/(1<<20))
	if most > limit+credits {
		t.Errorf("backlogs held %d bytes, want at most %d and the %d under way", most, limit, credits)
	}
	// The heap is at most twice what is alive, and the test has a share of it.
	if most := uint64(2*(limit+credits) + 24<<20); mostHeap > most {
		t.Errorf("the heap grew by %d bytes, want at most %d", mostHeap, most)
	}
	if published < 4*limit {
		t.Fatalf("%d bytes are too few to tell", published)
	}
	healthy.getAll(t, want)
	stats := s.stats()
	if stats.Total.Disconnects["slow_consumer"] != 0 || stats.Total.Dropped != 0 || healthy.gone.Load() != 0 {
		t.Errorf("disconnected %v, %d events dropped, %d of those who read are gone", stats.Total.Disconnects, stats.Total.Dropped, healthy.gone.Load())
	}
	stalled.pauses(false) // so that they learn of their end
	s.eventually("the end of those who were cut", func(g gateway.GatewayStats) bool {
		return g.Total.Disconnects["backlogs_full"] > 0 && g.Total.Lagging == 0 && g.BacklogMemory == 0
	})
}

// TestMemoryCutsNoMoreThanNeeded has very many clients wait for the same small events,
// so that references to them are what takes memory: some are cut until there is
// enough, the others stay.
func TestMemoryCutsNoMoreThanNeeded(t *testing.T) {
	const clients, events, limit = 200, 8000, 12 << 20
	s := start(t, func(c *gateway.Config) { c.BacklogMemory = limit }, neverSlow, noPings)
	stalled := startSwarm(t, s.ClientAddrs()[0], "")
	stalled.joins(t, "news", clients)
	stalled.pauses(true)
	upstream := s.publisher()
	filler, want := `"`+strings.Repeat("x", 60_000)+`"`, 0
	for s.stats().Total.Lagging < clients {
		want += frameLength("news", upstream.publishes("news", filler).Offset, filler)
	}
	before := upstream.publishes("news", filler).Offset
	want += frameLength("news", before, filler)
	s.burst("news", events, 200)
	for i := range uint64(events) {
		want += frameLength("news", before+1+i, burstData(int(i)+1, 200))
	}
	stats := s.eventually("an end of the cuts", func(g gateway.GatewayStats) bool { return g.BacklogMemory <= limit })
	// Of those who are cut, one frame may still be held.
	if held := stats.BacklogMemory; held < limit*3/4 {
		t.Errorf("%d bytes are held of %d: more clients were cut than needed", held, limit)
	}
	stalled.pauses(false)
	stats = s.eventually("the end of all backlogs", func(g gateway.GatewayStats) bool {
		return g.Total.Lagging == 0 && g.BacklogMemory == 0 && g.Total.Disconnects["backlogs_full"] == uint64(clients-g.Total.Clients)
	})
	if left := stats.Total.Clients; left == 0 || left == clients {
		t.Errorf("%d of %d clients are left", left, clients)
	}
	until(t, "those who are left have everything", func() bool { return int64(stalled.complete(want)) >= stats.Total.Clients })
}

// complete counts the clients that have so many bytes of events.
func (s *swarm) complete(want int) int {
	all := make(chan int)
	s.post(func() {
		n := 0
		for _, c := range s.clients {
			if c.taken == want {
				n++
			}
		}
		all <- n
	})
	return <-all
}

// TestLargestBacklogsGoFirst has clients of a loud channel and of a quiet one
// stall: only the former are cut.
func TestLargestBacklogsGoFirst(t *testing.T) {
	const each, limit = 40, 4 << 20
	s := start(t, func(c *gateway.Config) {
		c.BacklogMemory = limit
	}, noPings)
	loud, quiet := startSwarm(t, s.ClientAddrs()[0], ""), startSwarm(t, s.ClientAddrs()[0], "")
	loud.joins(t, "loud", each)
	quiet.joins(t, "quiet", each)
	loud.pauses(true)
	quiet.pauses(true)
	upstream := s.publisher()
	// As much as stays in the sockets, and some more.
	data := `"` + strings.Repeat("x", 60_000) + `"`
	want := 0
	publishQuiet := func() {
		r := upstream.publishes("quiet", data)
		want += frameLength("quiet", r.Offset, data)
	}
	for s.stats().Total.Lagging < each {
		publishQuiet()
	}
	for s.stats().Total.Lagging < 2*each {
		upstream.publishes("loud", data)
	}
	for range 3 * limit / len(data) {
		upstream.publishes("loud", data)
		if held := s.stats().BacklogMemory; held > limit+4*int64(len(data)) {
			t.Fatalf("%d bytes are held", held)
		}
	}
	publishQuiet()
	loud.pauses(false)
	s.eventually("the end of the loud channel's", func(g gateway.GatewayStats) bool {
		return g.Total.Disconnects["backlogs_full"] == each
	})
	quiet.pauses(false)
	quiet.getAll(t, want)
	if quiet.gone.Load() != 0 {
		t.Errorf("%d of the quiet channel's clients are gone", quiet.gone.Load())
	}
}
