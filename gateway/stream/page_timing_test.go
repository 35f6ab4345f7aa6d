package stream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fleetcast/codec/command"
	"fleetcast/gateway/rules"
)

// BenchmarkPage reads the largest pages, of many channels in turn, so that most of what they
// read is in no cache. The lock is held for about as long as a call takes.
func BenchmarkPage(b *testing.B) {
	const channels = 200
	for _, size := range []int{10, 250, 64 << 10} {
		p := newPageTest(rules.History{Events: 1500, Age: time.Hour})
		p.streams.limit.Store(channels)
		data, events := strings.Repeat("x", size), min(1500, (512<<10)/size)
		for range events {
			for i := range channels {
				p.publish(0, fmt.Sprint(i), data)
			}
		}
		for name, q := range map[string]PageQuery{
			"latest": {Limit: command.MaxHistory},
			"since":  {Limit: command.MaxHistory, HasSince: true},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				i := 0
				for b.Loop() {
					p.streams.Page(fmt.Append(nil, i%channels), q, 0, &p.page, &p.scratch)
					i++
				}
			})
		}
	}
}
