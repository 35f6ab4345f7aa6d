package poller_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

func TestLoopsShareAPort(t *testing.T) {
	listeners := must[[]*poller.Listener](t)(poller.Listen(loopback, 2))
	var counts [2]atomic.Int64
	accepted := make(chan struct{}, 1_000)
	for i, l := range listeners {
		if l.Addr() != listeners[0].Addr() || l.Addr().Port() == 0 {
			t.Errorf("listener %d is bound to %s, the first to %s", i, l.Addr(), listeners[0].Addr())
		}
		tl := newLoop(t, poller.LoopConfig{})
		tl.accepted = func(got *poller.Listener, fd int) {
			if got != l {
				t.Error("wrong listener")
			}
			counts[i].Add(1)
			unix.Close(fd)
			accepted <- struct{}{}
		}
		if err := tl.AddListener(l); err != nil { // before Run, by its maker
			t.Fatal(err)
		}
		tl.start()
	}
	for range 100 {
		peer := must[net.Conn](t)(net.Dial("tcp4", listeners[0].Addr().String()))
		peer.Close()
	}
	for range 100 {
		await(t, accepted, "a connection")
	}
	// With a fair hash, fewer than 10 of 100 has a chance below 1e-16.
	if a, b := counts[0].Load(), counts[1].Load(); a < 10 || b < 10 {
		t.Errorf("the loops got %d and %d connections", a, b)
	}
}

func TestPortInUse(t *testing.T) {
	tests := []struct {
		name  string
		count int // listeners that share the port already
		child bool
	}{
		{"one in this process", 1, false},
		{"several in this process", 3, false},
		{"one in another process", 1, true},
		{"several in another process", 3, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var addr netip.AddrPort
			if test.child {
				child := startChild(t, "share", fmt.Sprint(test.count))
				addr = netip.MustParseAddrPort(child.expect("listening"))
			} else {
				first := must[[]*poller.Listener](t)(poller.Listen(loopback, test.count))
				defer poller.CloseListeners(first)
				addr = first[0].Addr()
			}
			before := openDescriptors(t)
			for _, count := range []int{1, 2} {
				listeners, err := poller.Listen(addr, count)
				if !errors.Is(err, unix.EADDRINUSE) {
					t.Errorf("a second Listen(%d): %v, want EADDRINUSE", count, err)
				}
				poller.CloseListeners(listeners)
			}
			if n := openDescriptors(t) - before; n != 0 {
				t.Errorf("%d descriptors were left open", n)
			}
		})
	}
}

// Two gateways that start at the same time must not both get the port.
func TestOneOfTwoGetsThePort(t *testing.T) {
	addr := freeAddr(t)
	both := 0
	for range 300 {
		var results [2][]*poller.Listener
		var errs [2]error
		var group sync.WaitGroup
		start := make(chan struct{})
		for i := range results {
			group.Go(func() {
				<-start
				results[i], errs[i] = poller.Listen(addr, 2)
			})
		}
		close(start)
		group.Wait()
		if errs[0] == nil && errs[1] == nil {
			both++
		}
		for i := range results {
			if errs[i] != nil && !errors.Is(errs[i], unix.EADDRINUSE) {
				t.Fatal(errs[i])
			}
			poller.CloseListeners(results[i])
		}
	}
	if both > 0 {
		t.Errorf("both got the port %d times of 300", both)
	}
}

func freeAddr(t testing.TB) netip.AddrPort {
	t.Helper()
	listeners := must[[]*poller.Listener](t)(poller.Listen(loopback, 1))
	defer poller.CloseListeners(listeners)
	return listeners[0].Addr()
}

func TestListenIPv6(t *testing.T) {
	listeners, err := poller.Listen(netip.MustParseAddrPort("[::1]:0"), 2)
	if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer poller.CloseListeners(listeners[1:])
	tl := startLoop(t, poller.LoopConfig{})
	remote := make(chan netip.AddrPort, 1)
	tl.do(func() {
		tl.accepted = func(_ *poller.Listener, fd int) {
			c := tl.newConn()
			if err := tl.Register(&c.Conn, fd, c); err != nil {
				t.Error(err)
			}
			remote <- c.RemoteAddr()
		}
		if err := tl.AddListener(listeners[0]); err != nil {
			t.Error(err)
		}
	})
	poller.CloseListeners(listeners[1:])
	peer := must[net.Conn](t)(net.Dial("tcp6", listeners[0].Addr().String()))
	defer peer.Close()
	if got := await(t, remote, "a connection"); got.String() != peer.LocalAddr().String() {
		t.Errorf("RemoteAddr: %v, want %v", got, peer.LocalAddr())
	}
}

func TestListenFails(t *testing.T) {
	before := openDescriptors(t)
	for _, addr := range []string{"192.0.2.1:0", "[2001:db8::1]:0", "[fe80::1%nowhere]:0"} {
		if listeners, err := poller.Listen(netip.MustParseAddrPort(addr), 2); err == nil {
			t.Errorf("Listen(%s) succeeds", addr)
			poller.CloseListeners(listeners)
		}
	}
	if n := openDescriptors(t) - before; n != 0 {
		t.Errorf("%d descriptors were left open", n)
	}
}

func TestAcceptedSocketsInheritOptions(t *testing.T) {
	const lowWater, sendBuffer = 64 << 10, 20_000
	options := []struct {
		name          string
		level, option int
		right         func(value int) bool
	}{
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, func(v int) bool { return v != 0 }},
		{"TCP_NOTSENT_LOWAT", unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, func(v int) bool { return v == lowWater }},
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, func(v int) bool { return v != 0 }},
		{"SO_SNDBUF", unix.SOL_SOCKET, unix.SO_SNDBUF, func(v int) bool { return v == 2*sendBuffer }}, // socket(7): doubled
		{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, func(v int) bool { return v == 1500 }},
	}
	tl := startLoop(t, poller.LoopConfig{})
	config := poller.ListenConfig{UnsentLowWater: lowWater, KeepAlive: true, SendBuffer: sendBuffer, SendTimeout: 1500 * time.Millisecond}
	listeners := must[[]*poller.Listener](t)(config.Listen(loopback, 2))
	checked := make(chan struct{}, 64)
	tl.do(func() {
		tl.accepted = func(_ *poller.Listener, fd int) {
			for _, o := range options {
				value, err := unix.GetsockoptInt(fd, o.level, o.option)
				if err != nil || !o.right(value) {
					t.Errorf("an accepted socket has %s %d, %v", o.name, value, err)
				}
			}
			unix.Close(fd)
			checked <- struct{}{}
		}
		for _, l := range listeners {
			if err := tl.AddListener(l); err != nil {
				t.Error(err)
			}
		}
	})
	for range 20 { // some to each listener
		dialPeer(t, listeners[0].Addr())
		await(t, checked, "a connection")
	}
}

func TestCloseListenersTakesTheQueue(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	var accepted atomic.Int64
	addr := tl.serve(func(c *testConn) {
		accepted.Add(1)
		c.echo()
	})
	const clients = 200 // more than one turn accepts
	var peers []*net.TCPConn
	tl.do(func() { // the loop cannot accept meanwhile
		for range clients {
			peers = append(peers, dialPeer(t, addr))
		}
		tl.CloseListeners()
		tl.CloseListeners()
		if n := accepted.Load(); n != clients {
			t.Errorf("%d of %d clients were accepted", n, clients)
		}
	})
	for _, peer := range peers {
		if _, err := io.WriteString(peer, "hello"); err != nil {
			t.Fatal(err)
		}
		readFull(t, peer, 5)
	}
	if c, err := net.Dial("tcp4", addr.String()); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("dial after CloseListeners: %v, want ECONNREFUSED", err)
		if err == nil {
			c.Close()
		}
	}
	again := must[[]*poller.Listener](t)(poller.Listen(addr, 1)) // the port is free
	poller.CloseListeners(again)
}

func TestListenerClosedInItsOwnReport(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	done := make(chan struct{}, 8)
	addr := tl.serve(func(c *testConn) {
		tl.CloseListeners()
		done <- struct{}{}
	})
	dialPeer(t, addr)
	await(t, done, "a connection")
	tl.checkIdle()
}

// child is a copy of the test binary in another role. It speaks in lines.
type child struct {
	t     testing.TB
	in    io.WriteCloser
	lines chan string
}

func startChild(t testing.TB, role, argument string) *child {
	t.Helper()
	command := exec.Command(must[string](t)(os.Executable()))
	command.Env = append(os.Environ(), childEnv+"="+role, childEnv+"_ARG="+argument,
		"GORACE=atexit_sleep_ms=0") // the race detector would wait a second
	command.Stderr = os.Stderr
	in := must[io.WriteCloser](t)(command.StdinPipe())
	out := must[io.ReadCloser](t)(command.StdoutPipe())
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, in: in, lines: make(chan string, 64)}
	go func() {
		defer close(c.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			c.lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		in.Close() // the child ends with its standard input
		for range c.lines {
		}
		if err := command.Wait(); err != nil {
			t.Errorf("the other process: %v", err)
		}
	})
	return c
}

// expect returns what follows word on the child's next line.
func (c *child) expect(word string) string {
	c.t.Helper()
	line := await(c.t, c.lines, "the other process to say "+word)
	rest, ok := strings.CutPrefix(line, word+" ")
	if !ok {
		c.t.Fatalf("the other process says %q, want %q", line, word)
	}
	return rest
}

// tell sends the child a line.
func (c *child) tell(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}
