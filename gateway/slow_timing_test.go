package gateway

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkQueue gives a client that lags one event after the other, with what
// it does not read dropped as the policy says.
func BenchmarkQueue(b *testing.B) {
	for _, test := range []struct {
		policy SlowPolicy
		keys   int
	}{{SlowDropOldest, 1}, {SlowConflate, 1}, {SlowConflate, 100}, {SlowConflate, 1000}} {
		b.Run(fmt.Sprintf("%v, %d keys", test.policy, test.keys), func(b *testing.B) {
			s := newTestShard(b, func(c *Config) { c.SlowPolicy = test.policy })
			c := newTestSession(b, s)
			c.lag()
			st, random := testStream("prices"), rand.New(rand.NewPCG(1, 2))
			from, events := unlimited(), make([]*event, 1)
			var keys [][]byte
			for i := range test.keys {
				keys = append(keys, fmt.Append(nil, "key", i))
			}
			publish := func() {
				st.offset++
				e := newEvent(st, keys[random.IntN(len(keys))], []byte(`{"bid":1.07134}`), from, 0, 0, 1)
				events[0] = e
				c.queue(events, formatPlain, 0)
				e.served()
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
	st, from := testStream("prices"), unlimited()
	for done := 0; done < b.N; done += each {
		b.StopTimer()
		c := newTestSession(b, s)
		c.lag()
		for range each {
			st.offset++
			e := newEvent(st, nil, []byte(`{"bid":1.07134}`), from, 0, 0, 1)
			c.queue([]*event{e}, formatPlain, 0)
			e.served()
		}
		b.StartTimer()
		c.backlog.release()
	}
}
