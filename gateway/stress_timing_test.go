package gateway_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleetcast/gateway"
)

// timedEvent is 128 bytes of data.
var timedEvent = []byte(`{"text":"` + strings.Repeat("x", 117) + `"}`)

// BenchmarkFanOut sends 1 or 32 events at once to 1,000 sockets that another
// process drains. CPU is that of this process, system calls included.
func BenchmarkFanOut(b *testing.B) {
	for _, events := range []int{1, 32} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) { fanOut(b, events, timedEvent, swarmPlain) })
	}
	large := []byte(rows(1000))
	for _, role := range []string{swarmPlain, swarmDeflating} {
		b.Run("KiB/"+role, func(b *testing.B) { fanOut(b, 1, large, role) })
	}
}

func fanOut(b *testing.B, events int, data []byte, role string) {
	const subscribers = 1_000
	s := start(b, oneShard, neverSlow)
	swarm := startChild(b, role)
	swarm.tell("%s news", s.ClientAddrs()[0])
	swarm.tell("%d", subscribers)
	swarm.hear()
	channel := []byte("news")
	s.Feed(channel, data, events)
	b.ReportAllocs()
	b.SetBytes(int64(subscribers * events * len(data)))
	cpu, n := processCPU(b), 0
	for b.Loop() {
		s.Feed(channel, data, events)
		n++
	}
	deliveries := float64(n * subscribers * events)
	b.ReportMetric(float64(processCPU(b)-cpu)/deliveries, "cpu-ns/delivery")
	b.ReportMetric(float64(b.Elapsed())/deliveries, "ns/delivery")
}

func processCPU(tb testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkIdleConnections measures the memory of a connection with one
// subscription that does nothing: what is resident, as the slope between 5,000
// and 15,000 of them, whose other ends are in another process. It means
// something once: run it with -benchtime=1x.
func BenchmarkIdleConnections(b *testing.B) {
	for _, role := range []string{swarmPlain, swarmDeflating} {
		b.Run(role, func(b *testing.B) { benchmarkIdle(b, role, 5_000, 15_000) })
	}
}

// BenchmarkIdleContext is the same for clients that have compressed with context
// what they sent, a few commands or more than the largest window: it is kept.
func BenchmarkIdleContext(b *testing.B) {
	for _, role := range []string{swarmBrief, swarmTalkative} {
		b.Run(role, func(b *testing.B) {
			benchmarkIdle(b, role, 1_000, 3_000, func(c *gateway.Config) { c.ClientContext = 32 << 10 })
		})
	}
}

func benchmarkIdle(b *testing.B, role string, few, many int, changes ...func(*gateway.Config)) {
	for b.Loop() {
		s := start(b, append(changes, func(c *gateway.Config) { c.MaxClients = many + 1 })...)
		swarm := startChild(b, role)
		swarm.tell("%s news", s.ClientAddrs()[0])
		base := memoryOf(b)
		swarm.tell("%d", few)
		swarm.hear()
		atFew := memoryOf(b)
		swarm.tell("%d", many-few)
		swarm.hear()
		atMany := memoryOf(b)
		total := s.stats().Total
		if n := total.Subscriptions; n != int64(many) || (total.CompressedClients == int64(many)) != (role != swarmPlain) {
			b.Fatalf("%d subscriptions and %d compressed clients", n, total.CompressedClients)
		}
		perConnection := func(from, to float64) float64 { return (to - from) / float64(many-few) / 1024 }
		b.ReportMetric(perConnection(atFew.resident, atMany.resident), "KB/conn")
		b.ReportMetric(perConnection(atFew.live, atMany.live), "live-KB/conn")
		b.ReportMetric(base.resident/1024, "base-KB")
		b.ReportMetric(atMany.resident/1024, "all-KB")
	}
}

// memory is what the process uses, in bytes.
type memory struct {
	resident float64 // of the system's memory, not backed by files
	live     float64 // heap and stacks after a collection
}

func memoryOf(b *testing.B) (m memory) {
	b.Helper()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	m.live = float64(stats.HeapAlloc + stats.StackInuse)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, line, _ := bytes.Cut(status, []byte("RssAnon:"))
	var kilobytes float64
	if _, err := fmt.Sscanf(string(line), "%f kB", &kilobytes); err != nil {
		b.Fatal(err)
	}
	m.resident = kilobytes * 1024
	return m
}
