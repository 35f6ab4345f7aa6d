package loadtest

import (
	"testing"

	"fleetcast/codec/deflate"
)

// timedForms are what deliveries are timed in.
var timedForms = map[string]form{"plain": formPlain, "compressed": formDeflate, "context": formDeflate + deflate.MaxWindowBits}

// newTimedBench is a bench whose event holds records of 1 KiB.
func newTimedBench(b *testing.B, clients int, of form) *bench {
	bench := newBenchOf(b, clients, 1, DataRecords, 1<<10)
	for i := range bench.cohort.clients {
		bench.cohort.clients[i].form = of
	}
	return bench
}

// BenchmarkDelivery is what a delivery costs beside the system calls, for all
// but the first client of an event.
func BenchmarkDelivery(b *testing.B) {
	const clients = 1000
	for name, form := range timedForms {
		if form >= comparedForms {
			continue // each is verified
		}
		b.Run(name, func(b *testing.B) {
			bench := newTimedBench(b, clients, form)
			frame := bench.frames[form][0]
			bench.deliver(0, 0)
			b.ReportAllocs()
			i := 1
			for b.Loop() {
				c := &bench.cohort.clients[i]
				c.Received(frame)
				c.sequence.next = 0
				bench.cohort.flow.tracks[0].remaining = clients
				if i++; i == clients {
					i = 1
				}
			}
		})
	}
}

// BenchmarkDeliveryVerified is the same for the first client, and for every one
// whose server compresses with context.
func BenchmarkDeliveryVerified(b *testing.B) {
	for name, form := range timedForms {
		b.Run(name, func(b *testing.B) {
			bench := newTimedBench(b, 2, form)
			// A message that refers to none before it may come with context too.
			frame := bench.frames[min(form, formDeflate)][0]
			b.ReportAllocs()
			c := &bench.cohort.clients[0]
			for b.Loop() {
				c.Received(frame)
				c.sequence.next = 0
				bench.cohort.flow.tracks[0].remaining = 2
				for i := range bench.cohort.flow.references {
					bench.cohort.flow.references[i].slots[0].seq = -1
				}
			}
		})
	}
}
