package stream

import (
	"fmt"
	"strings"
	"testing"

	"fleetcast/gateway/limits"
)

// BenchmarkPublishUnheard submits events that nobody subscribes to.
func BenchmarkPublishUnheard(b *testing.B) {
	s, from, wakes := NewStreams(1_000, v1), unlimited(), NewWakeSet(2)
	var names [1_000][]byte
	for i := range names {
		names[i] = fmt.Appendf(nil, "channel-%d", i)
	}
	r := NewRequest(s, &wakes, new(uint64))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		name := names[i%len(names)]
		i++
		cost := limits.EventCost(name, nil, benchData)
		from.Take(cost)
		r.Begin(nil, from, 0)
		r.Submit(name, nil, benchData)
	}
}

// BenchmarkEncodeEvent lays out one event's frame and gives it back.
func BenchmarkEncodeEvent(b *testing.B) {
	st, from := testStream("news"), unlimited()
	b.ReportAllocs()
	b.SetBytes(int64(len(benchData)))
	for b.Loop() {
		st.Offset++
		newEvent(v1, st, &Submission{Data: benchData, From: from}, 1).Served()
	}
}

var benchData = []byte(`{"text":"` + strings.Repeat("x", 117) + `"}`) // 128 bytes
