package shard

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"fleetcast/gateway/rules"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
	"fleetcast/gateway/stream/streamtest"
)

// BenchmarkQueue gives a client that lags one event after the other, with what
// it does not read dropped as the policy says.
func BenchmarkQueue(b *testing.B) {
	for _, test := range []struct {
		policy rules.SlowPolicy
		keys   int
	}{{rules.SlowDropOldest, 1}, {rules.SlowConflate, 1}, {rules.SlowConflate, 100}, {rules.SlowConflate, 1000}} {
		b.Run(fmt.Sprintf("%v, %d keys", test.policy, test.keys), func(b *testing.B) {
			s := newTestShard(b, func(c *settings.Config) { c.SlowPolicy = test.policy })
			c := newTestSession(b, s)
			c.lag()
			st, random := streamtest.New("prices"), rand.New(rand.NewPCG(1, 2))
			events := make([]*stream.Event, 1)
			var keys []string
			for i := range test.keys {
				keys = append(keys, fmt.Sprint("key", i))
			}
			publish := func() {
				e := st.Next(keys[random.IntN(len(keys))], `{"bid":1.07134}`)
				events[0] = e
				c.queue(events, stream.FormatPlain, 0)
				e.Served()
			}
			for range 2000 {
				publish()
			}
			b.ResetTimer()
			for range b.N {
				publish()
			}
		})
	}
}

// BenchmarkRelease frees the backlog of one client, an event at a time.
func BenchmarkRelease(b *testing.B) {
	const each = 100_000
	s := newTestShard(b)
	st := streamtest.New("prices")
	for done := 0; done < b.N; done += each {
		b.StopTimer()
		c := newTestSession(b, s)
		c.lag()
		for range each {
			e := st.Next("", `{"bid":1.07134}`)
			c.queue([]*stream.Event{e}, stream.FormatPlain, 0)
			e.Served()
		}
		b.StartTimer()
		c.backlog.Release()
	}
}
