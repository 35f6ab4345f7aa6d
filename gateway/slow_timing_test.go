package gateway

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"fleetcast/gateway/rules"
)

// BenchmarkQueue gives a client that lags one event after the other, with what
// it does not read dropped as the policy says.
func BenchmarkQueue(b *testing.B) {
	for _, test := range []struct {
		policy rules.SlowPolicy
		keys   int
	}{{rules.SlowDropOldest, 1}, {rules.SlowConflate, 1}, {rules.SlowConflate, 100}, {rules.SlowConflate, 1000}} {
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
