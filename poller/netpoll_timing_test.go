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
	"testing"
	"time"

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

// greeting is what the idle servers answer to anything.
const greeting = `{"type":"welcome","client":"5f0c","ping_interval_ms":25000}`

func greetNetpoll(_ context.Context, c netpoll.Connection) error {
	if err := c.Reader().Skip(c.Reader().Len()); err != nil {
		return err
	}
	if _, err := c.Writer().WriteString(greeting); err != nil {
		return err
	}
	return errors.Join(c.Reader().Release(), c.Writer().Flush())
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

func (c *idleConn) Received([]byte) { _, _ = c.Send([]byte(greeting)) }
func (c *idleConn) PeerClosed()     { c.Close(nil) }
func (*idleConn) Writable()         {}
func (*idleConn) Swept()            {}
func (*idleConn) Closed(error)      {}

// serveIdle starts a poller that accepts idle connections and reports each.
func serveIdle(b *testing.B, tl *testLoop, accepted func(c *poller.Conn, fd int)) netip.AddrPort {
	b.Helper()
	listeners := must[[]*poller.Listener](b)(poller.Listen(loopback, 1))
	tl.do(func() {
		tl.accepted = func(_ *poller.Listener, fd int) {
			c := new(idleConn)
			if err := tl.Register(&c.Conn, fd, c); err != nil {
				b.Error(err)
			}
			accepted(&c.Conn, fd)
		}
		if err := tl.AddListener(listeners[0]); err != nil {
			b.Error(err)
		}
	})
	return listeners[0].Addr()
}

// A role of its own, taken before TestMain looks for the others.
func init() {
	if os.Getenv(childEnv) == "request" {
		os.Exit(request())
	}
}

// request connects the given number of times to the address on the first line
// of its standard input, sends 200 bytes on each connection, and keeps them
// until its standard input ends.
func request() int {
	var line string
	_, err := fmt.Scanln(&line)
	addr := netip.MustParseAddrPort(line)
	to := &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	for i := 0; i < childArgument() && err == nil; i++ {
		var fd int
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err == nil {
			err = unix.Connect(fd, to)
		}
		if err == nil {
			_, err = unix.Write(fd, make([]byte, 200))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "request:", err)
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// BenchmarkNetpollIdleMemory is the resident memory that an idle connection
// costs the process that accepted it: the slope between 2,000 and 7,000 of
// them, with the collector at its default and not forced. The clients are
// other processes; they have sent nothing, or one request that was answered.
// The sub-benchmarks disturb each other: run each in a process of its own.
func BenchmarkNetpollIdleMemory(b *testing.B) {
	for _, client := range []struct{ name, role string }{{"silent", "drain"}, {"answered", "request"}} {
		b.Run("poller/"+client.name, func(b *testing.B) {
			var accepted atomic.Int64
			tl := startLoop(b, poller.LoopConfig{})
			addr := serveIdle(b, tl, func(*poller.Conn, int) { accepted.Add(1) })
			reportIdleMemory(b, addr, client.role, &accepted)
		})
		b.Run("netpoll/"+client.name, func(b *testing.B) {
			var accepted atomic.Int64
			// OnConnect would take a goroutine.
			addr := serveNetpoll(b, greetNetpoll, netpoll.WithOnPrepare(func(netpoll.Connection) context.Context {
				accepted.Add(1)
				return context.Background()
			}))
			reportIdleMemory(b, addr, client.role, &accepted)
		})
	}
}

func reportIdleMemory(b *testing.B, addr netip.AddrPort, role string, accepted *atomic.Int64) {
	b.Helper()
	const (
		base   = 2_000
		more   = 5_000
		settle = 600 * time.Millisecond
	)
	connect := func(count int) {
		want := accepted.Load() + int64(count)
		startChild(b, role, fmt.Sprint(count)).tell(addr.String())
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
}

// BenchmarkNetpollSlowPeer is 16 MiB sent to a peer that does not read: how
// long the call keeps its caller, and whether it ended for want of time.
func BenchmarkNetpollSlowPeer(b *testing.B) {
	message := make([]byte, 16<<20)
	b.Run("poller", func(b *testing.B) {
		tl := startLoop(b, poller.LoopConfig{})
		var blocked time.Duration
		taken := 0
		for b.Loop() {
			c, peer := tl.connect(nil)
			tl.do(func() {
				start := time.Now()
				n, err := c.Send(message)
				blocked, taken = blocked+time.Since(start), taken+n
				if err != nil || n == len(message) {
					b.Errorf("Send: %d, %v; want a short count", n, err)
				}
				c.Reset()
				c.Close(nil)
			})
			peer.Close()
		}
		b.ReportMetric(blocked.Seconds()*1e3/float64(b.N), "blocked-ms")
		b.ReportMetric(float64(taken)/float64(b.N)/(1<<20), "taken-MiB")
		b.ReportMetric(0, "ns/op")
	})
	for _, timeout := range []time.Duration{100 * time.Millisecond, 400 * time.Millisecond} {
		b.Run(fmt.Sprint("netpoll/timeout=", timeout), func(b *testing.B) {
			conns, announced := announce()
			addr := serveNetpoll(b, greetNetpoll, announced, netpoll.WithWriteTimeout(timeout))
			var blocked time.Duration
			timeouts := 0
			for b.Loop() {
				peer := dialPeer(b, addr)
				c := await(b, conns, "a connection")
				must[int](b)(c.Writer().WriteBinary(message))
				start := time.Now()
				if err := c.Writer().Flush(); errors.Is(err, netpoll.ErrWriteTimeout) {
					timeouts++
				}
				blocked += time.Since(start)
				c.Close()
				peer.Close()
			}
			b.ReportMetric(blocked.Seconds()*1e3/float64(b.N), "blocked-ms")
			b.ReportMetric(float64(timeouts)/float64(b.N), "timeouts/call")
			b.ReportMetric(0, "ns/op")
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
			time.Sleep(100 * time.Millisecond) // netpoll lets go of the buffers
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
	for _, delay := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond} {
		run := func(server string, serve func(*testing.B, time.Duration) netip.AddrPort) {
			b.Run(fmt.Sprintf("%s/delay=%v", server, delay), func(b *testing.B) {
				addr := serve(b, delay)
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
		run("poller", serveReplies)
		run("netpoll", serveRepliesNetpoll)
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
