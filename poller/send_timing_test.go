package poller_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

// BenchmarkRawSyscallSend is one 176-byte send to each of 500 loopback
// sockets, which another process reads: through the poller's raw calls, and
// through calls that announce themselves to the scheduler. Sendto is the very
// system call of Send. The medians of the rounds are reported, because other
// work on the machine moves a mean. Compare runs that take turns; mixing the
// ways in one process would let the scheduler's watch over announced calls
// weigh on the raw ones too. With GOMAXPROCS=1 that watch has most to do.
func BenchmarkRawSyscallSend(b *testing.B) {
	message := patternOf(176)
	ways := []struct {
		name string
		send func(c *poller.Conn, fd int) (int, error)
	}{
		{"Send", func(c *poller.Conn, _ int) (int, error) { return c.Send(message) }},
		{"Sendto", func(_ *poller.Conn, fd int) (int, error) {
			return len(message), unix.Sendto(fd, message, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
		}},
		{"Write", func(_ *poller.Conn, fd int) (int, error) { return syscall.Write(fd, message) }},
	}
	for _, way := range ways {
		b.Run(way.name, func(b *testing.B) { sendTo500(b, len(message), way.send) })
	}
}

func sendTo500(b *testing.B, size int, send func(c *poller.Conn, fd int) (int, error)) {
	const sockets = 500
	tl := startLoop(b, poller.LoopConfig{})
	var conns []*poller.Conn
	var fds []int
	complete := make(chan struct{})
	addr := serveIdle(b, tl, func(c *poller.Conn, fd int) {
		conns, fds = append(conns, c), append(fds, fd)
		if len(fds) == sockets {
			close(complete)
		}
	})
	startChild(b, "drain", fmt.Sprint(sockets)).tell(addr.String())
	await(b, complete, "the other process's connections")

	var times, cpus []float64 // ns per send
	short := 0
	benchmarkOnLoop(b, tl, func() {
		start, cpu := time.Now(), processCPU()
		for i, c := range conns {
			n, err := send(c, fds[i])
			if err == unix.EAGAIN || err == nil && n < size {
				short++ // its reader is behind
			} else if err != nil {
				b.Error(err)
			}
		}
		cpus = append(cpus, float64((processCPU()-cpu).Nanoseconds())/sockets)
		times = append(times, float64(time.Since(start).Nanoseconds())/sockets)
	})
	b.ReportMetric(median(times), "ns/send")
	b.ReportMetric(median(cpus), "cpu-ns/send")
	b.ReportMetric(float64(short)/float64(len(times)*sockets), "short/send")
	b.ReportMetric(0, "ns/op")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
