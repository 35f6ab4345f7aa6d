package poller_test

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

// patience bounds every wait of a test; it is reached only by a failing one.
const patience = time.Minute

// childEnv names what a copy of the test binary is to do instead of testing.
const childEnv = "FLEETCAST_POLLER_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(childEnv); role != "" {
		os.Exit(childRole(role)())
	}
	// Opens the runtime's own descriptors before anything counts them.
	if l, err := net.Listen("tcp4", "127.0.0.1:0"); err == nil {
		l.Close()
	}
	os.Exit(m.Run())
}

// await returns what ch brings.
func await[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("timed out waiting for %s", what)
		panic("unreachable")
	}
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// testLoop is a loop whose owner runs the functions that it is sent.
type testLoop struct {
	*poller.Loop
	t        testing.TB
	tasks    *poller.Mailbox[func()]
	accepted func(l *poller.Listener, fd int)
	turn     func() bool // called in each turn if set
	failures chan error  // AcceptFailed
	turns    atomic.Int64
	ticks    chan struct{} // one element per tick, unless it is full
	conns    []*testConn   // all that were ever made; owned by the loop
	ended    chan struct{} // closed when Run has returned
}

// newLoop makes a loop that the test starts.
func newLoop(t testing.TB, config poller.LoopConfig) *testLoop {
	t.Helper()
	tl := &testLoop{
		t:        t,
		tasks:    poller.NewMailbox[func()](),
		failures: make(chan error, 64),
		ticks:    make(chan struct{}, 1),
		ended:    make(chan struct{}),
	}
	tl.Loop = must[*poller.Loop](t)(poller.NewLoop(tl, config))
	tl.accepted = func(_ *poller.Listener, fd int) {
		t.Error("unexpected connection")
		unix.Close(fd)
	}
	return tl
}

// startLoop makes a loop and runs it for the length of the test.
func startLoop(t testing.TB, config poller.LoopConfig) *testLoop {
	t.Helper()
	tl := newLoop(t, config)
	tl.start()
	return tl
}

func (tl *testLoop) start() {
	go func() {
		defer close(tl.ended)
		tl.Run()
	}()
	tl.t.Cleanup(tl.stop)
}

// stop ends the loop and checks that every connection ended exactly once.
func (tl *testLoop) stop() {
	tl.t.Helper()
	tl.Stop()
	await(tl.t, tl.ended, "the loop's end")
	for i, c := range tl.conns {
		if n := c.ends.Load(); n != 1 {
			tl.t.Errorf("connection %d: Closed was called %d times", i, n)
		}
	}
	tl.conns = nil
}

// do runs f on the loop's goroutine and waits for it.
func (tl *testLoop) do(f func()) {
	tl.t.Helper()
	done := make(chan struct{})
	tl.tasks.Post(func() { f(); close(done) })
	tl.Wake()
	await(tl.t, done, "a task on the loop")
}

// awaitTicks lets n ticks of the loop's clock pass.
func (tl *testLoop) awaitTicks(n int) {
	tl.t.Helper()
	for range n {
		await(tl.t, tl.ticks, "a tick")
	}
}

// checkIdle fails if the loop turns more often than ticks explain.
func (tl *testLoop) checkIdle() {
	tl.t.Helper()
	select {
	case <-tl.ticks: // an old one
	default:
	}
	tl.awaitTicks(1)
	before := tl.turns.Load()
	tl.awaitTicks(1)
	// Signals of the runtime interrupt a wait now and then.
	if n := tl.turns.Load() - before; n > 20 {
		tl.t.Errorf("an idle loop turned %d times in a tick", n)
	}
}

func (tl *testLoop) Accepted(l *poller.Listener, fd int) { tl.accepted(l, fd) }

func (tl *testLoop) AcceptFailed(_ *poller.Listener, err error) { tl.failures <- err }

func (tl *testLoop) Pending() bool { return !tl.tasks.Empty() }

func (tl *testLoop) Tick() {
	select {
	case tl.ticks <- struct{}{}:
	default:
	}
}

// Turn runs one task, so that the sockets are served between any two.
func (tl *testLoop) Turn() (busy bool) {
	tl.turns.Add(1)
	if task, ok := tl.tasks.Take(); ok {
		task()
	}
	busy = tl.turn != nil && tl.turn()
	return busy || tl.Pending()
}

// testConn is a connection whose reports go to functions, each of which may be
// nil.
type testConn struct {
	poller.Conn
	received   func(p []byte)
	peerClosed func()
	writable   func()
	swept      func()
	over       func(err error)

	socket    int // the descriptor, if the test made it
	connected chan struct{}
	closed    chan error
	ends      atomic.Int32
}

func (tl *testLoop) newConn() *testConn {
	c := &testConn{connected: make(chan struct{}, 4), closed: make(chan error, 4)}
	tl.conns = append(tl.conns, c)
	return c
}

func (c *testConn) Connected() { c.connected <- struct{}{} }

func (c *testConn) Received(p []byte) {
	if c.received != nil {
		c.received(p)
	}
}

func (c *testConn) PeerClosed() {
	if c.peerClosed != nil {
		c.peerClosed()
	}
}

func (c *testConn) Writable() {
	if c.writable != nil {
		c.writable()
	}
}

func (c *testConn) Swept() {
	if c.swept != nil {
		c.swept()
	}
}

func (c *testConn) Closed(err error) {
	c.ends.Add(1)
	c.closed <- err
	if c.over != nil {
		c.over(err)
	}
}

// echo makes the connection send back all that it receives, then a FIN.
func (c *testConn) echo() {
	var unsent poller.Unsent
	ended := false
	finish := func(err error) {
		if err != nil {
			c.Close(err)
		} else if ended && unsent.Len() == 0 {
			c.Close(nil)
		}
	}
	c.received = func(p []byte) { finish(unsent.Send(&c.Conn, p)) }
	c.writable = func() { finish(unsent.Flush(&c.Conn)) }
	c.peerClosed = func() { ended = true; finish(nil) }
	c.over = func(error) { unsent.Release() }
}

// connect returns a connection of the loop over loopback and its peer. set is
// called on the loop before the connection is registered.
func (tl *testLoop) connect(set func(c *testConn, fd int)) (*testConn, *net.TCPConn) {
	tl.t.Helper()
	fd, peer := tcpPair(tl.t)
	var c *testConn
	tl.do(func() {
		c = tl.newConn()
		c.socket = fd
		if set != nil {
			set(c, fd)
		}
		if err := tl.Register(&c.Conn, fd, c); err != nil {
			tl.t.Error(err)
		}
	})
	return c, peer
}

// tcpPair returns a non-blocking descriptor and its peer.
func tcpPair(t testing.TB) (fd int, peer *net.TCPConn) {
	t.Helper()
	l := must[net.Listener](t)(net.Listen("tcp4", "127.0.0.1:0"))
	defer l.Close()
	fd = must[int](t)(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	addr := netip.MustParseAddrPort(l.Addr().String())
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	peer = must[net.Conn](t)(l.Accept()).(*net.TCPConn)
	t.Cleanup(func() { peer.Close() })
	return fd, peer
}

// resetPeer makes the peer send an RST.
func resetPeer(t testing.TB, peer *net.TCPConn) {
	t.Helper()
	if err := peer.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	peer.Close()
}

// pattern fills p with bytes that depend on their offset in a stream.
func pattern(p []byte, offset int) {
	for i := range p {
		n := offset + i
		p[i] = byte(n ^ n>>8 ^ n>>16)
	}
}

// patternOf returns the first n bytes of the pattern.
func patternOf(n int) []byte {
	p := make([]byte, n)
	pattern(p, 0)
	return p
}

// differs returns the index of the first byte that is not the pattern's, or -1.
func differs(p []byte, offset int) int {
	for i, b := range p {
		n := offset + i
		if b != byte(n^n>>8^n>>16) {
			return i
		}
	}
	return -1
}

// readAll reads the peer's stream to its end.
func readAll(t testing.TB, peer *net.TCPConn) []byte {
	t.Helper()
	if err := peer.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return must[[]byte](t)(io.ReadAll(peer))
}

// readFull reads n bytes of the peer's stream.
func readFull(t testing.TB, peer net.Conn, n int) []byte {
	t.Helper()
	if err := peer.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, n)
	if _, err := io.ReadFull(peer, p); err != nil {
		t.Fatal(err)
	}
	return p
}

// openDescriptors counts the process's descriptors.
func openDescriptors(t testing.TB) int {
	t.Helper()
	return len(must[[]os.DirEntry](t)(os.ReadDir("/proc/self/fd")))
}
