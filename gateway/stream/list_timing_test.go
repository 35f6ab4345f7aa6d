package stream

import (
	"fmt"
	"testing"
	"time"

	"fleetcast/gateway/limits"
)

const keptChannels = 1_000_000

// BenchmarkListChannels lists from 1,000,000 channels with the largest limit. It
// also reports for how long a stripe's lock is held, on average and at most.
func BenchmarkListChannels(b *testing.B) {
	s := NewStreams(keptChannels, v1)
	for i := range keptChannels {
		name := fmt.Appendf(nil, "fleet.vehicle-%d.position", i*7919%keptChannels)
		stripe := s.stripe(name)
		st := s.open(stripe, name, limits.ByPublisher, false)
		c := new(Interest)
		c.Subscribers.Store(int32(i))
		st.interested = []*Interest{c}
	}
	for name, q := range map[string]ChannelQuery{
		"first page":     {Limit: 1000},
		"page of 100":    {Limit: 100},
		"subscribers":    {Limit: 1000, Order: Orders["subscribers"]},
		"events":         {Limit: 1000, Order: Orders["events"]},
		"prefix of none": {Limit: 1000, Prefix: "x"},
	} {
		b.Run(name, func(b *testing.B) {
			var longest, all time.Duration
			calls := 0
			for b.Loop() {
				found := q.found()
				for i := range s.stripes {
					began := time.Now()
					s.offer(i, &q, found, new(ChannelTotal))
					held := time.Since(began)
					longest, all = max(longest, held), all+held
					calls++
				}
			}
			b.ReportMetric(float64(longest.Microseconds()), "µs-longest-hold")
			b.ReportMetric(float64(all.Microseconds())/float64(calls), "µs-mean-hold")
		})
	}
}
