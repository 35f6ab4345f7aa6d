package poller_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

// BenchmarkMailbox is one message posted and taken, with the takers and the
// posters running side by side.
func BenchmarkMailbox(b *testing.B) {
	for _, producers := range []int{1, 4} {
		b.Run(fmt.Sprint("producers=", producers), func(b *testing.B) {
			mailbox := poller.NewMailbox[letter]()
			b.ReportAllocs()
			var group sync.WaitGroup
			for p := range producers {
				count := b.N / producers
				if p == 0 {
					count += b.N % producers
				}
				group.Go(func() {
					for n := range count {
						mailbox.Post(letter{p, n})
					}
				})
			}
			for taken := 0; taken < b.N; {
				if _, ok := mailbox.Take(); ok {
					taken++
				} else {
					runtime.Gosched()
				}
			}
			group.Wait()
		})
	}
}

// BenchmarkMailboxPostThenDrain is the same without contention: bursts of 64
// by the goroutine that also takes them.
func BenchmarkMailboxPostThenDrain(b *testing.B) {
	mailbox := poller.NewMailbox[letter]()
	b.ReportAllocs()
	const burst = 64
	for b.Loop() {
		for n := range burst {
			mailbox.Post(letter{0, n})
		}
		for range burst {
			mailbox.Take()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/burst, "ns/message")
}

// BenchmarkWakeUp is the way into a sleeping loop and back: Post, Wake, the
// task, and the wake-up of the waiting goroutine by the runtime.
func BenchmarkWakeUp(b *testing.B) {
	tl := startLoop(b, poller.LoopConfig{})
	done := make(chan struct{})
	task := func() { done <- struct{}{} }
	b.ReportAllocs()
	for b.Loop() {
		tl.tasks.Post(task)
		tl.Wake()
		<-done
	}
}

// BenchmarkWakeUpSpinning is the way in alone: the poster watches a flag, so
// that only the loop has to be woken.
func BenchmarkWakeUpSpinning(b *testing.B) {
	tl := startLoop(b, poller.LoopConfig{})
	var done atomic.Int64
	task := func() { done.Add(1) }
	b.ReportAllocs()
	for round := int64(1); b.Loop(); round++ {
		tl.tasks.Post(task)
		tl.Wake()
		for done.Load() < round {
			runtime.Gosched()
		}
	}
}

// BenchmarkSendTo1000 is one 128-byte send to each of 1,000 loopback sockets,
// which another process reads.
func BenchmarkSendTo1000(b *testing.B) {
	const sockets = 1_000
	message := patternOf(128)
	vectors := [][]byte{message[:10], message[10:]}
	tests := []struct {
		name string
		send func(c *testConn) (int, error)
	}{
		{"Send", func(c *testConn) (int, error) { return c.Send(message) }},
		{"SendVectors", func(c *testConn) (int, error) { return c.SendVectors(vectors) }},
	}
	for _, test := range tests {
		b.Run(test.name, func(b *testing.B) {
			tl := startLoop(b, poller.LoopConfig{})
			conns := connectDrain(b, tl, sockets)
			b.ReportAllocs()
			b.SetBytes(sockets * int64(len(message)))
			short, cpu := 0, processCPU()
			benchmarkOnLoop(b, tl, func() {
				for _, c := range conns {
					n, err := test.send(c)
					if err != nil {
						b.Error(err)
						return
					}
					if n < len(message) {
						short++ // its reader is behind
					}
				}
			})
			sends := float64(b.N) * sockets
			b.ReportMetric(float64((processCPU()-cpu).Nanoseconds())/sends, "cpu-ns/send")
			b.ReportMetric(float64(short)/sends, "short/send")
		})
	}
}

// benchmarkOnLoop runs the benchmark's body on the loop's goroutine.
func benchmarkOnLoop(b *testing.B, tl *testLoop, body func()) {
	b.Helper()
	done := make(chan struct{})
	tl.tasks.Post(func() {
		defer close(done)
		for b.Loop() {
			body()
		}
	})
	tl.Wake()
	<-done
}

// connectDrain returns connections to another process that reads and forgets.
func connectDrain(b *testing.B, tl *testLoop, count int) []*testConn {
	b.Helper()
	var conns []*testConn
	complete := make(chan struct{})
	addr := tl.serve(func(c *testConn) {
		conns = append(conns, c)
		if len(conns) == count {
			close(complete)
		}
	})
	reader := startChild(b, "drain", fmt.Sprint(count))
	reader.tell(addr.String())
	await(b, complete, "the other process's connections")
	return conns
}

// BenchmarkOpenAndClose is one connection made, accepted, registered, reset
// and closed; both ends are in this process.
func BenchmarkOpenAndClose(b *testing.B) {
	tl := startLoop(b, poller.LoopConfig{})
	ends := make(chan struct{}, 1)
	addr := tl.serve(func(c *testConn) { c.over = func(error) { ends <- struct{}{} } })
	to := &unix.SockaddrInet4{Port: int(addr.Port()), Addr: netip.MustParseAddr("127.0.0.1").As4()}
	b.ReportAllocs()
	for b.Loop() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		if err := unix.Connect(fd, to); err != nil {
			b.Fatal(err)
		}
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(fd)
		<-ends
	}
}

// BenchmarkWakeAt tells how late wake-ups are, one per millisecond, on a loop
// that sleeps in between.
func BenchmarkWakeAt(b *testing.B) {
	const wakeUps, spacing = 1_000, time.Millisecond
	late := make([]float64, 0, wakeUps)
	for b.Loop() {
		late = late[:0]
		tl := newLoop(b, poller.LoopConfig{})
		var at time.Duration
		tl.turn = func() bool {
			switch now := tl.Refresh(); {
			case at == 0:
				at = now
			case now < at:
				return false
			default:
				late = append(late, float64((now-at).Nanoseconds())/1e3)
			}
			if at += spacing; len(late) == wakeUps {
				tl.Stop()
			}
			tl.WakeAt(at)
			return false
		}
		tl.WakeAt(1)
		tl.Run()
	}
	slices.Sort(late)
	b.ReportMetric(late[wakeUps/2], "p50-late-µs")
	b.ReportMetric(late[wakeUps*99/100], "p99-late-µs")
	b.ReportMetric(late[wakeUps-1], "max-late-µs")
}
