package stream

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"fleetcast/codec/command"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/rules"
)

// BenchmarkPublishUnheard submits events that nobody subscribes to, to 1,000 channels in turn,
// and with a history of the last 100 of each.
func BenchmarkPublishUnheard(b *testing.B) {
	for _, keep := range []rules.History{{}, rules.DefaultHistory} {
		b.Run("history="+keep.String(), func(b *testing.B) {
			s, from, wakes := NewStreams(1_000, v1), unlimited(), NewWakeSet(2)
			s.SetHistory(rules.NewTable(nil, rules.Values{History: keep}), 1<<30)
			var names [1_000][]byte
			for i := range names {
				names[i] = fmt.Appendf(nil, "channel-%d", i)
			}
			r := NewRequest(s, &wakes, new(uint64))
			publish := func(i int) {
				name := names[i%len(names)]
				cost := limits.EventCost(name, nil, benchData)
				from.Take(cost)
				r.Begin(nil, from, 0)
				r.Submit(name, nil, benchData)
			}
			for i := range 200 * len(names) { // every log is full
				publish(i)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				publish(i)
				i++
			}
		})
	}
}

// BenchmarkConditions submits events with conditions, beside such without.
func BenchmarkConditions(b *testing.B) {
	var next [8]byte
	counter := uint64(0)
	fresh := command.Conditions{Idempotency: make([]byte, 36)} // as long as a UUID
	same := command.Conditions{Idempotency: []byte("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")}
	at := command.Conditions{HasExpect: true}
	for _, kind := range []struct {
		name string
		c    *command.Conditions
		each func(at Position)
	}{
		{"none", nil, func(Position) {}},
		{"text", &fresh, func(Position) {
			counter++
			binary.LittleEndian.PutUint64(next[:], counter)
			copy(fresh.Idempotency, next[:])
		}},
		{"duplicate", &same, func(Position) {}},
		{"expect", &at, func(p Position) {
			at.Expect.Epoch, at.Expect.Offset = append(at.Expect.Epoch[:0], p.Epoch[:]...), p.Offset
		}},
	} {
		b.Run(kind.name, func(b *testing.B) {
			s, from, wakes, name := NewStreams(1_000, v1), unlimited(), NewWakeSet(2), []byte("news")
			r := NewRequest(s, &wakes, new(uint64))
			cost := limits.EventCost(name, nil, benchData)
			from.Take(cost)
			r.Begin(nil, from, 0)
			r.Submit(name, nil, benchData)
			b.ReportAllocs()
			for b.Loop() {
				kind.each(r.Results[0].At)
				from.Take(cost)
				r.Begin(nil, from, 0)
				r.Require(kind.c)
				r.Submit(name, nil, benchData)
			}
		})
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
