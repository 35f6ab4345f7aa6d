package stream

import (
	"fmt"
	"strings"
	"testing"

	"fleetcast/gateway/rules"
)

// TestHistoryMemory has events of 64 KiB come to channels of their own while the memory is full
// of the smallest histories.
func TestHistoryMemory(t *testing.T) {
	const limit = 2 << 20
	p := newPageTest(rules.DefaultHistory)
	p.streams.SetLimit(1 << 20)
	p.streams.SetHistory(p.streams.history.rules.Load(), limit)
	for i := range 20_000 {
		p.publish(0, fmt.Sprint("small", i), "1")
	}
	event, most := strings.Repeat("1", 64<<10), int64(0)
	for i := range 100 {
		p.publish(0, fmt.Sprint("large", i), event)
		most = max(most, p.streams.history.memory.Used())
	}
	if most > limit {
		t.Errorf("histories have held %d bytes, and may hold %d", most, limit)
	}
}

// TestHistoryMemoryReload halves the memory: the histories of all stripes go, and not only of
// those that are swept first.
func TestHistoryMemoryReload(t *testing.T) {
	const limit = 1 << 20
	p := newPageTest(rules.DefaultHistory)
	p.streams.SetLimit(1 << 20)
	for i := range 2 * limit / 128 {
		p.publish(0, fmt.Sprint(i), "1")
	}
	p.streams.SetHistory(p.streams.history.rules.Load(), limit)
	empty := 0
	for i := range StripeCount {
		p.streams.SweepHistory(i, 0)
	}
	for i := range StripeCount {
		if p.streams.stripes[i].kept == 0 {
			empty++
		}
	}
	if used := p.streams.history.memory.Used(); used > limit || empty > 0 {
		t.Errorf("%d bytes are held, and %d stripes have no history", used, empty)
	}
}
