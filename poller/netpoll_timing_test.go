package poller_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

// The benchmarks of this file measure why the gateway's connections are the
// poller's own and not those of cloudwego/netpoll, and what RawSyscall saves.
// They report what happens, not how fast: ns/op is hidden where it would only
// be the time of the set-up.

// serveNetpoll starts a netpoll server for the length of the benchmark.
func serveNetpoll(b *testing.B, request netpoll.OnRequest, options ...netpoll.Option) netip.AddrPort {
	b.Helper()
	listener := must[netpoll.Listener](b)(netpoll.CreateListener("tcp4", "127.0.0.1:0"))
	addr := netip.MustParseAddrPort(listener.Addr().String())
	server := must[netpoll.EventLoop](b)(netpoll.NewEventLoop(request, options...))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			b.Errorf("netpoll's end: %v", err)
		}
		await(b, ended, "netpoll's end")
	})
	return addr
}

// discard is the netpoll handler of connections that nothing is expected from.
func discard(_ context.Context, c netpoll.Connection) error {
	return c.Reader().Skip(c.Reader().Len())
}

// announce has netpoll report each new connection.
func announce() (<-chan netpoll.Connection, netpoll.Option) {
	conns := make(chan netpoll.Connection, 1)
	return conns, netpoll.WithOnConnect(func(ctx context.Context, c netpoll.Connection) context.Context {
		conns <- c
		return ctx
	})
}

// residentBytes is the process's VmRSS.
func residentBytes(b *testing.B) int64 {
	b.Helper()
	status := must[[]byte](b)(os.ReadFile("/proc/self/status"))
	_, line, _ := bytes.Cut(status, []byte("VmRSS:"))
	var kibibytes int64
	if _, err := fmt.Sscanf(string(line), "%d kB", &kibibytes); err != nil {
		b.Fatal(err)
	}
	return kibibytes << 10
}

// dropMemory gives unused memory, also that kept in pools, back to the kernel,
// so that what ran before is not a stock for what is measured next.
func dropMemory() {
	debug.FreeOSMemory()
	debug.FreeOSMemory() // pools keep their content for one collection
}

// idleConn is the least that a handler keeps per connection.
type idleConn struct{ poller.Conn }

func (*idleConn) Received([]byte) {}
func (c *idleConn) PeerClosed()   { c.Close(nil) }
func (*idleConn) Writable()       {}
func (*idleConn) Swept()          {}
func (*idleConn) Closed(error)    {}

// serveIdle counts the connections that the poller accepts.
func serveIdle(b *testing.B, accepted *atomic.Int64) netip.AddrPort {
	tl := startLoop(b, poller.LoopConfig{})
	listeners := must[[]*poller.Listener](b)(poller.Listen(loopback, 1))
	tl.do(func() {
		tl.accepted = func(_ *poller.Listener, fd int) {
			c := new(idleConn)
			if err := tl.Register(&c.Conn, fd, c); err != nil {
				b.Error(err)
			}
			accepted.Add(1)
		}
		if err := tl.AddListener(listeners[0]); err != nil {
			b.Error(err)
		}
	})
	return listeners[0].Addr()
}

// serveIdleNetpoll counts those that netpoll accepts, without the goroutine
// that its OnConnect would take.
func serveIdleNetpoll(b *testing.B, accepted *atomic.Int64) netip.AddrPort {
	return serveNetpoll(b, discard, netpoll.WithOnPrepare(func(netpoll.Connection) context.Context {
		accepted.Add(1)
		return context.Background()
	}))
}

// BenchmarkNetpollIdleMemory is the resident memory that an idle accepted
// connection costs the process that accepts it: the slope between 2,000 and
// 7,000 of them, with the collector at its default and not forced. The clients
// are other processes. Each sub-benchmark is best run in a process of its own.
func BenchmarkNetpollIdleMemory(b *testing.B) {
	const (
		base   = 2_000
		more   = 5_000
		settle = 600 * time.Millisecond
	)
	servers := []struct {
		name  string
		serve func(*testing.B, *atomic.Int64) netip.AddrPort
	}{
		{"poller", serveIdle},
		{"netpoll", serveIdleNetpoll},
	}
	for _, server := range servers {
		b.Run(server.name, func(b *testing.B) {
			var accepted atomic.Int64
			addr := server.serve(b, &accepted)
			connect := func(count int) {
				want := accepted.Load() + int64(count)
				startChild(b, "drain", fmt.Sprint(count)).tell(addr.String())
				for end := time.Now().Add(patience); accepted.Load() < want; time.Sleep(time.Millisecond) {
					if time.Now().After(end) {
						b.Fatalf("%d connections are missing", want-accepted.Load())
					}
				}
				time.Sleep(settle)
			}
			dropMemory()
			var grown int64
			for b.Loop() {
				connect(base)
				before := residentBytes(b)
				connect(more)
				grown += residentBytes(b) - before
			}
			b.ReportMetric(float64(grown)/float64(b.N)/more, "B/conn")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkNetpollSlowPeer is 16 MiB sent to a peer that does not read: how
// long the call takes, and how much of it the kernel took.
func BenchmarkNetpollSlowPeer(b *testing.B) {
	message := make([]byte, 16<<20)
	report := func(b *testing.B, blocked, worst time.Duration) {
		b.ReportMetric(blocked.Seconds()*1e3/float64(b.N), "blocked-ms")
		b.ReportMetric(worst.Seconds()*1e3, "worst-ms")
		b.ReportMetric(0, "ns/op")
	}
	b.Run("poller", func(b *testing.B) {
		tl := startLoop(b, poller.LoopConfig{})
		var blocked, worst time.Duration
		taken := 0
		for b.Loop() {
			c, peer := tl.connect(nil)
			tl.do(func() {
				start := time.Now()
				n, err := c.Send(message)
				d := time.Since(start)
				blocked, worst, taken = blocked+d, max(worst, d), taken+n
				if err != nil || n == len(message) {
					b.Errorf("Send: %d, %v; want a short count", n, err)
				}
				c.Reset()
				c.Close(nil)
			})
			peer.Close()
		}
		report(b, blocked, worst)
		b.ReportMetric(float64(taken)/float64(b.N)/(1<<20), "taken-MiB")
	})
	for _, timeout := range []time.Duration{100 * time.Millisecond, 400 * time.Millisecond} {
		b.Run(fmt.Sprint("netpoll/timeout=", timeout), func(b *testing.B) {
			conns, announced := announce()
			addr := serveNetpoll(b, discard, announced, netpoll.WithWriteTimeout(timeout))
			var blocked, worst time.Duration
			timeouts := 0
			for b.Loop() {
				peer := dialPeer(b, addr)
				c := await(b, conns, "a connection")
				must[int](b)(c.Writer().WriteBinary(message))
				start := time.Now()
				err := c.Writer().Flush()
				d := time.Since(start)
				blocked, worst = blocked+d, max(worst, d)
				if errors.Is(err, netpoll.ErrWriteTimeout) {
					timeouts++
				}
				c.Close()
				peer.Close()
			}
			report(b, blocked, worst)
			b.ReportMetric(float64(timeouts)/float64(b.N), "timeouts/call")
		})
	}
}

// flood writes until it has written 256 MiB or nothing moves for half a
// second, and returns how much went out.
func flood(b *testing.B, peer *net.TCPConn) (written int64) {
	b.Helper()
	chunk := make([]byte, 64<<10)
	for written < 256<<20 {
		if err := peer.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
			b.Fatal(err)
		}
		n, err := peer.Write(chunk)
		written += int64(n)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return written
}

// BenchmarkNetpollBlockedHandler is a peer that sends all it can, up to 256
// MiB, while the handler of its first bytes is not done: what the peer got rid
// of, what of it the server process holds, and how its resident memory grew.
// The poller's handler has called PauseReading.
func BenchmarkNetpollBlockedHandler(b *testing.B) {
	var sent, held, grown int64
	report := func(b *testing.B) {
		perPeer := float64(b.N) * (1 << 20)
		b.ReportMetric(float64(sent)/perPeer, "sent-MiB")
		b.ReportMetric(float64(held)/perPeer, "held-MiB")
		b.ReportMetric(float64(grown)/perPeer, "RSS-MiB")
		b.ReportMetric(0, "ns/op")
	}
	b.Run("poller", func(b *testing.B) {
		sent, held, grown = 0, 0, 0
		tl := startLoop(b, poller.LoopConfig{})
		for b.Loop() {
			c, peer := tl.connect(func(c *testConn, _ int) {
				c.received = func(p []byte) { held += int64(len(p)); c.PauseReading() }
			})
			dropMemory()
			before := residentBytes(b)
			sent += flood(b, peer)
			grown += residentBytes(b) - before
			tl.do(func() { c.Close(nil) })
			peer.Close()
		}
		report(b)
	})
	b.Run("netpoll", func(b *testing.B) {
		sent, held, grown = 0, 0, 0
		release, done := make(chan struct{}), make(chan struct{})
		conns, announced := announce()
		addr := serveNetpoll(b, func(_ context.Context, c netpoll.Connection) error {
			<-release
			err := c.Close()
			done <- struct{}{}
			return err
		}, announced)
		for b.Loop() {
			peer := dialPeer(b, addr)
			c := await(b, conns, "a connection")
			dropMemory()
			before := residentBytes(b)
			sent += flood(b, peer)
			time.Sleep(100 * time.Millisecond) // what is under way arrives
			held += int64(c.Reader().Len())
			grown += residentBytes(b) - before
			release <- struct{}{}
			await(b, done, "the handler")
			peer.Close()
		}
		report(b)
	})
}

// serveReplies answers the first bytes of each connection after a delay, which
// stands for the work that the answer takes.
func serveReplies(b *testing.B, delay time.Duration) netip.AddrPort {
	tl := startLoop(b, poller.LoopConfig{})
	return tl.serve(func(c *testConn) {
		reply := func() {
			if n, err := c.Send([]byte("reply")); err != nil || n != 5 {
				b.Errorf("Send: %d, %v", n, err)
			}
			c.Close(nil)
		}
		c.received = func([]byte) {
			if delay == 0 {
				reply()
				return
			}
			time.AfterFunc(delay, func() { tl.tasks.Post(reply); tl.Wake() })
		}
	})
}

// serveRepliesNetpoll does the same on netpoll.
func serveRepliesNetpoll(b *testing.B, delay time.Duration) netip.AddrPort {
	return serveNetpoll(b, func(_ context.Context, c netpoll.Connection) error {
		defer c.Close()
		if err := c.Reader().Skip(c.Reader().Len()); err != nil {
			return err
		}
		time.Sleep(delay)
		if _, err := c.Writer().WriteString("reply"); err != nil {
			return err
		}
		return c.Writer().Flush()
	})
}

// BenchmarkNetpollHalfClose is a client that sends a request and a FIN, then
// waits for the reply: the share of the replies that arrive.
func BenchmarkNetpollHalfClose(b *testing.B) {
	servers := []struct {
		name  string
		serve func(*testing.B, time.Duration) netip.AddrPort
	}{
		{"poller", serveReplies},
		{"netpoll", serveRepliesNetpoll},
	}
	for _, server := range servers {
		for _, delay := range []time.Duration{0, 5 * time.Millisecond} {
			b.Run(fmt.Sprintf("%s/delay=%v", server.name, delay), func(b *testing.B) {
				addr := server.serve(b, delay)
				replies := 0
				for b.Loop() {
					if askAndHalfClose(b, addr) == "reply" {
						replies++
					}
				}
				b.ReportMetric(float64(replies)/float64(b.N), "replies/request")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func askAndHalfClose(b *testing.B, addr netip.AddrPort) string {
	b.Helper()
	peer := must[net.Conn](b)(net.Dial("tcp4", addr.String())).(*net.TCPConn)
	defer peer.Close()
	if _, err := peer.Write([]byte("request")); err != nil {
		b.Fatal(err)
	}
	_ = peer.CloseWrite() // fails if the server has closed already
	if err := peer.SetReadDeadline(time.Now().Add(patience)); err != nil {
		b.Fatal(err)
	}
	reply, err := io.ReadAll(peer)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.Fatal(err)
	}
	return string(reply)
}

// BenchmarkRawSyscallSend is one 176-byte send to each of 500 loopback
// sockets, which another process reads: through the poller's raw calls, and
// through calls that announce themselves to the scheduler. Syscall6 is Send's
// very call, announced.
func BenchmarkRawSyscallSend(b *testing.B) {
	const sockets = 500
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	message := patternOf(176)
	tests := []struct {
		name string
		send func(c *poller.Conn, fd int) (int, error)
	}{
		{"Send", func(c *poller.Conn, _ int) (int, error) { return c.Send(message) }},
		{"Syscall6", func(_ *poller.Conn, fd int) (int, error) { return announcedSend(fd, message, flags) }},
		{"Sendto", func(_ *poller.Conn, fd int) (int, error) {
			return len(message), unix.Sendto(fd, message, flags, nil)
		}},
		{"Write", func(_ *poller.Conn, fd int) (int, error) { return syscall.Write(fd, message) }},
	}
	for _, test := range tests {
		b.Run(test.name, func(b *testing.B) {
			tl := startLoop(b, poller.LoopConfig{})
			conns, fds := connectDescriptors(b, tl, sockets)
			b.ReportAllocs()
			short, cpu := 0, processCPU()
			benchmarkOnLoop(b, tl, func() {
				for i, c := range conns {
					n, err := test.send(c, fds[i])
					if err != nil && err != unix.EAGAIN {
						b.Error(err)
						return
					}
					if n < len(message) || err != nil {
						short++ // its reader is behind
					}
				}
			})
			sends := float64(b.N) * sockets
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/sends, "ns/send")
			b.ReportMetric(float64((processCPU()-cpu).Nanoseconds())/sends, "cpu-ns/send")
			b.ReportMetric(float64(short)/sends, "short/send")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func announcedSend(fd int, p []byte, flags uintptr) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDTO,
		uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// connectDescriptors is connectDrain for callers that also need the
// descriptors.
func connectDescriptors(b *testing.B, tl *testLoop, count int) (conns []*poller.Conn, fds []int) {
	b.Helper()
	complete := make(chan struct{})
	listeners := must[[]*poller.Listener](b)(poller.Listen(loopback, 1))
	tl.do(func() {
		tl.accepted = func(_ *poller.Listener, fd int) {
			c := new(idleConn)
			if err := tl.Register(&c.Conn, fd, c); err != nil {
				b.Error(err)
			}
			conns, fds = append(conns, &c.Conn), append(fds, fd)
			if len(fds) == count {
				close(complete)
			}
		}
		if err := tl.AddListener(listeners[0]); err != nil {
			b.Error(err)
		}
	})
	startChild(b, "drain", fmt.Sprint(count)).tell(listeners[0].Addr().String())
	await(b, complete, "the other process's connections")
	return conns, fds
}
