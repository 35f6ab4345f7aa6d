package loadtest

import "testing"

// BenchmarkDelivery is what a delivery costs beside the system calls, for all
// but the first client of an event.
func BenchmarkDelivery(b *testing.B) {
	const clients = 1000
	bench := newBench(b, clients, 1)
	bench.deliver(0, 0)
	b.SetBytes(int64(len(bench.frames[formPlain][0])))
	b.ReportAllocs()
	i := 1
	for b.Loop() {
		c := &bench.cohort.clients[i]
		c.Received(bench.frames[formPlain][0])
		c.sequence.next = 0
		bench.cohort.flow.tracks[0].remaining = clients
		if i++; i == clients {
			i = 1
		}
	}
}

// BenchmarkDeliveryVerified is the same for the first client.
func BenchmarkDeliveryVerified(b *testing.B) {
	bench := newBench(b, 2, 1)
	b.SetBytes(int64(len(bench.frames[formPlain][0])))
	b.ReportAllocs()
	c := &bench.cohort.clients[0]
	for b.Loop() {
		c.Received(bench.frames[formPlain][0])
		c.sequence.next = 0
		bench.cohort.flow.tracks[0].remaining = 2
		bench.cohort.flow.references[formPlain].slots[0].seq = -1
	}
}
