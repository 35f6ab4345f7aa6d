package gateway_test

import (
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/gateway"
)

// TestEventPathAllocatesNothing counts what the whole way of an event
// allocates, from the publisher's socket to those of its subscribers. A mailbox
// makes one segment for 256 events; nothing else is left once all scratch space
// has grown.
func TestEventPathAllocatesNothing(t *testing.T) {
	if raceDetected() {
		t.Skip("pools and sends allocate under the race detector")
	}
	const subscribers, burst, rounds = 50, 64, 100
	for _, test := range []struct{ name, request string }{
		{"NDJSON", `{"channel":"news","data":{"a":"0123456789"}}` + "\n"},
		{"RESP", "*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$18\r\n{\"a\":\"0123456789\"}\r\n"},
		{"compressed", `{"channel":"news","data":` + rows(600) + "}\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, oneShard, func(c *gateway.Config) {
				c.PingInterval = time.Hour
				neverSlow(c)
			})
			clients := startSwarm(t, s.ClientAddrs()[0], "news")
			if test.name == "compressed" {
				clients.offerDeflate("news")
			}
			var received atomic.Int64
			clients.received = func(_ *swarmClient, p []byte) { received.Add(int64(len(p))) }
			clients.grow(subscribers, func(want int64) {
				until(t, "every client is subscribed", func() bool { return clients.subscribed.Load() == want })
			})
			publisher := s.publisher()
			if test.name == "RESP" {
				go func() { _, _ = publisher.in.WriteTo(discard{}) }()
			}
			requests := []byte(strings.Repeat(test.request, burst))
			publish := func() {
				if _, err := publisher.Write(requests); err != nil {
					t.Error(err)
				}
			}
			for range 20 {
				publish()
			}
			s.eventually("the first bursts", func(g gateway.GatewayStats) bool {
				return g.Total.Deliveries == 20*burst*subscribers && g.Publish.CreditsUsed == 0
			})
			var before int64
			until(t, "all that was sent has arrived", func() bool {
				last := before
				before = received.Load()
				return last == before
			})
			leastSize := before/(20*burst*subscribers) - 4 // offsets have one to five digits
			received.Store(0)
			sent := int64(0)
			await := func() {
				for received.Load() < sent*subscribers*leastSize {
					runtime.Gosched()
				}
			}
			defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties the pools
			// On a busy machine a client may lag, and a backlog does allocate: the
			// best of a few attempts is that of the path itself.
			best := math.Inf(1)
			for attempt := 0; attempt < 8 && best > 0.1; attempt++ {
				var start, end runtime.MemStats
				runtime.ReadMemStats(&start)
				for range rounds {
					publish()
					sent += burst
					await()
				}
				runtime.ReadMemStats(&end)
				best = min(best, float64(end.Mallocs-start.Mallocs)/(rounds*burst))
			}
			t.Logf("%.4f allocations per event to %d subscribers", best, subscribers)
			if best > 0.1 {
				t.Errorf("%.3f allocations per event, want next to none", best)
			}
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
