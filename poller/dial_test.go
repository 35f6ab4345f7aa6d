package poller_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

// dial starts a connection on the loop.
func (tl *testLoop) dial(addr, source netip.AddrPort, set func(c *testConn)) *testConn {
	tl.t.Helper()
	var c *testConn
	tl.do(func() {
		c = tl.newConn()
		if set != nil {
			set(c)
		}
		if err := tl.Dial(&c.Conn, addr, source, c); err != nil {
			tl.t.Error(err)
		}
	})
	return c
}

func TestDial(t *testing.T) {
	tests := []struct{ name, listen, source, wantSource string }{
		{"plain", "127.0.0.1:0", "", "127.0.0.1"},
		{"source address", "127.0.0.1:0", "127.0.0.2:0", "127.0.0.2"},
		{"IPv6", "[::1]:0", "", "::1"},
		{"IPv6 source address", "[::1]:0", "[::1]:0", "::1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server, err := net.Listen("tcp", test.listen)
			if err != nil {
				t.Skip(err)
			}
			defer server.Close()
			addr := netip.MustParseAddrPort(server.Addr().String())
			var source netip.AddrPort
			if test.source != "" {
				source = netip.MustParseAddrPort(test.source)
			}
			tl := startLoop(t, poller.LoopConfig{})
			c := tl.dial(addr, source, func(c *testConn) { c.echo() })
			peer := must[net.Conn](t)(server.Accept()).(*net.TCPConn)
			defer peer.Close()
			await(t, c.connected, "Connected")
			if got := peer.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().String(); got != test.wantSource {
				t.Errorf("connected from %s, want %s", got, test.wantSource)
			}
			tl.do(func() {
				if got := c.RemoteAddr(); got != addr {
					t.Errorf("RemoteAddr: %v, want %v", got, addr)
				}
			})
			if _, err := io.WriteString(peer, "hello"); err != nil {
				t.Fatal(err)
			}
			readFull(t, peer, 5)
			if err := peer.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if err := await(t, c.closed, "Closed"); err != nil {
				t.Errorf("Closed(%v)", err)
			}
			if len(c.connected) != 0 {
				t.Error("Connected was called again")
			}
		})
	}
}

// What was asked for while connecting holds once connected.
func TestDialKeepsInterests(t *testing.T) {
	server := must[net.Listener](t)(net.Listen("tcp4", "127.0.0.1:0"))
	defer server.Close()
	tl := startLoop(t, poller.LoopConfig{})
	writable, received := make(chan struct{}, 8), make(chan struct{}, 8)
	var c *testConn
	tl.do(func() {
		c = tl.newConn()
		c.writable = func() { c.WantWrite(false); writable <- struct{}{} }
		c.received = func([]byte) { received <- struct{}{} }
		addr := netip.MustParseAddrPort(server.Addr().String())
		if err := tl.Dial(&c.Conn, addr, netip.AddrPort{}, c); err != nil {
			t.Error(err)
		}
		if c.Open() {
			t.Error("Open before Connected")
		}
		c.PauseReading()
		c.WantWrite(true)
	})
	peer := must[net.Conn](t)(server.Accept())
	defer peer.Close()
	await(t, writable, "Writable")
	if _, err := io.WriteString(peer, "hello"); err != nil {
		t.Fatal(err)
	}
	tl.checkIdle()
	if len(received) != 0 {
		t.Error("Received while paused")
	}
	tl.do(c.ResumeReading)
	await(t, received, "Received")
}

func TestDialRefused(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	c := tl.dial(freeAddr(t), netip.AddrPort{}, nil)
	if err := await(t, c.closed, "Closed"); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("Closed(%v), want ECONNREFUSED", err)
	}
	if len(c.connected) != 0 {
		t.Error("Connected was called")
	}
}

func TestDialFailsAtOnce(t *testing.T) {
	tests := []struct {
		name, addr, source string
		want               error
	}{
		{"source not ours", "127.0.0.1:9", "192.0.2.1:0", unix.EADDRNOTAVAIL},
		{"source of another family", "127.0.0.1:9", "[::1]:0", unix.EAFNOSUPPORT},
		{"broadcast", "255.255.255.255:9", "", unix.ENETUNREACH},
	}
	tl := startLoop(t, poller.LoopConfig{})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := openDescriptors(t)
			var source netip.AddrPort
			if test.source != "" {
				source = netip.MustParseAddrPort(test.source)
			}
			tl.do(func() {
				err := tl.Dial(new(poller.Conn), netip.MustParseAddrPort(test.addr), source, &testConn{})
				if !errors.Is(err, test.want) {
					t.Errorf("Dial: %v, want %v", err, test.want)
				}
				if n := tl.Conns(); n != 0 {
					t.Errorf("%d connections", n)
				}
			})
			if n := openDescriptors(t) - before; n != 0 {
				t.Errorf("%d descriptors were left open", n)
			}
		})
	}
}

func TestCloseWhileConnecting(t *testing.T) {
	reason := errors.New("changed my mind")
	full, addr := fullListener(t)
	defer unix.Close(full)
	for _, inSameTurn := range []bool{true, false} {
		tl := startLoop(t, poller.LoopConfig{})
		c := tl.dial(addr, netip.AddrPort{}, func(c *testConn) {
			c.received = func([]byte) { t.Error("Received") }
		})
		if !inSameTurn {
			tl.checkIdle() // the answer does not come
		}
		tl.do(func() { c.Close(reason) })
		if err := await(t, c.closed, "Closed"); err != reason {
			t.Errorf("Closed(%v), want %v", err, reason)
		}
		if len(c.connected) != 0 {
			t.Error("Connected was called")
		}
	}
}

// fullListener returns a listening socket that ignores further clients because
// nobody accepts those that wait.
func fullListener(t testing.TB) (fd int, addr netip.AddrPort) {
	t.Helper()
	fd = must[int](t)(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name := must[unix.Sockaddr](t)(unix.Getsockname(fd)).(*unix.SockaddrInet4)
	addr = netip.AddrPortFrom(netip.AddrFrom4(name.Addr), uint16(name.Port))
	for range 2 { // one waits to be accepted; the next finds the queue full
		client := must[int](t)(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0))
		if err := unix.Connect(client, name); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(client) })
	}
	return fd, addr
}

// Clients that dial again when they are told of an end reuse their Conn.
func TestRedialInClosed(t *testing.T) {
	addr := freeAddr(t)
	tl := startLoop(t, poller.LoopConfig{})
	ends := make(chan int, 1)
	c := new(testConn) // not counted: it ends more than once
	c.closed, c.connected = make(chan error, 64), make(chan struct{}, 4)
	attempts := 0
	c.over = func(error) {
		if attempts++; attempts == 20 {
			ends <- attempts
			return
		}
		if err := tl.Dial(&c.Conn, addr, netip.AddrPort{}, c); err != nil {
			t.Error(err)
		}
	}
	tl.do(func() { c.over(nil) })
	await(t, ends, "20 attempts")
	tl.do(func() {
		if n := tl.Conns(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}
