package poller_test

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

func TestClosedOnce(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	type pair struct{ a, b *testConn }
	tests := []struct {
		name string
		run  func(p pair, peerA *net.TCPConn) // on the loop; must lead to a's end
	}{
		{"closed twice", func(p pair, _ *net.TCPConn) {
			p.a.Close(first)
			p.a.Close(second)
		}},
		{"in Received", func(p pair, peer *net.TCPConn) {
			p.a.received = func([]byte) { p.a.Close(first); p.a.Close(second) }
			_, _ = peer.Write([]byte("x"))
		}},
		{"in PeerClosed", func(p pair, peer *net.TCPConn) {
			p.a.peerClosed = func() { p.a.Close(first) }
			_ = peer.CloseWrite()
		}},
		{"in Writable, with bytes to receive", func(p pair, peer *net.TCPConn) {
			p.a.received = func([]byte) { panic("Received after Close") }
			p.a.writable = func() { p.a.Close(first) }
			_, _ = peer.Write([]byte("x"))
			awaitReadable(p.a)
			p.a.WantWrite(true)
		}},
		{"in Swept", func(p pair, _ *net.TCPConn) {
			p.a.swept = func() { p.a.Close(first) }
		}},
		{"in Closed of another", func(p pair, _ *net.TCPConn) {
			p.b.over = func(error) { p.a.Close(first); p.b.Close(second) }
			p.b.Close(nil)
		}},
		{"in its own Closed", func(p pair, _ *net.TCPConn) {
			p.a.over = func(error) { p.a.Close(second) }
			p.a.Close(first)
		}},
		{"calls after Close", func(p pair, _ *net.TCPConn) {
			p.a.Close(first)
			p.a.PauseReading()
			p.a.ResumeReading()
			p.a.WantWrite(true)
			p.a.CloseWrite()
			p.a.Reset()
		}},
		{"reset by us", func(p pair, _ *net.TCPConn) {
			p.a.Reset()
			p.a.Close(first)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tl := startLoop(t, poller.LoopConfig{SweepInterval: 100 * time.Millisecond})
			a, peerA := tl.connect(nil)
			b, _ := tl.connect(nil)
			tl.do(func() { test.run(pair{a, b}, peerA) })
			if err := await(t, a.closed, "Closed"); err != first {
				t.Errorf("Closed(%v), want the reason of the first Close", err)
			}
			tl.do(func() {}) // stop counts the calls
		})
	}
}

// awaitReadable returns when the connection's peer's bytes have arrived, or
// its FIN. It is for the loop's goroutine, which so holds back the report.
func awaitReadable(c *testConn) {
	fds := []unix.PollFd{{Fd: int32(c.socket), Events: unix.POLLIN}}
	for {
		if n, err := unix.Poll(fds, int(patience.Milliseconds())); err != unix.EINTR {
			if n != 1 || err != nil {
				panic("no bytes arrived")
			}
			return
		}
	}
}

// Two sockets are ready in one wait; whichever is served first closes the
// other, which must not be served any more.
func TestCloseOfAnotherInTheSameTurn(t *testing.T) {
	tests := []struct {
		name  string
		ready func(c *testConn, peer *net.TCPConn) error
	}{
		{"readable", func(c *testConn, peer *net.TCPConn) error {
			_, err := peer.Write([]byte("x"))
			awaitReadable(c)
			return err
		}},
		{"at its end", func(c *testConn, peer *net.TCPConn) error {
			err := peer.CloseWrite()
			awaitReadable(c)
			return err
		}},
		{"writable", func(c *testConn, _ *net.TCPConn) error {
			c.WantWrite(true)
			return nil
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tl := startLoop(t, poller.LoopConfig{})
			var conns [2]*testConn
			var peers [2]*net.TCPConn
			served := 0
			for i := range conns {
				conns[i], peers[i] = tl.connect(func(c *testConn, _ int) {
					c.peerClosed = func() {
						served++
						conns[1-i].Close(nil)
					}
					c.writable = func() {
						c.WantWrite(false)
						c.peerClosed()
					}
					c.received = func([]byte) { c.peerClosed() }
				})
			}
			tl.do(func() {
				for i := range conns {
					if err := test.ready(conns[i], peers[i]); err != nil {
						t.Error(err)
					}
				}
			})
			tl.do(func() {})
			tl.do(func() {
				if served != 1 {
					t.Errorf("%d connections were served, want 1", served)
				}
			})
		})
	}
}

// A copy of a closed connection's descriptor, as a child process has between
// fork and exec, must not go on being reported under the connection's slot.
func TestCopyOfAClosedDescriptor(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	var duplicate int
	c, peer := tl.connect(func(_ *testConn, fd int) {
		duplicate = must[int](t)(unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0))
	})
	defer unix.Close(duplicate)
	tl.do(func() { c.Close(nil) })
	await(t, c.closed, "Closed")
	if _, err := peer.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	tl.do(func() {})
	tl.connect(func(c *testConn, _ int) {
		c.received = func([]byte) { t.Error("another's bytes were reported") }
	})
	tl.checkIdle()
}

func TestUseAfterClosed(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	c, _ := tl.connect(nil)
	tl.do(func() { c.Close(nil) })
	await(t, c.closed, "Closed")
	_, other := tl.connect(nil) // takes the descriptor's number and the slot
	tl.do(func() {
		if _, err := c.Send([]byte("stray")); !errors.Is(err, unix.EBADF) {
			t.Errorf("Send: %v, want EBADF", err)
		}
		if _, err := c.SendVectors([][]byte{[]byte("stray")}); !errors.Is(err, unix.EBADF) {
			t.Errorf("SendVectors: %v, want EBADF", err)
		}
		c.Reset()
		c.CloseWrite()
		c.WantWrite(true)
		if addr := c.RemoteAddr(); addr.IsValid() {
			t.Errorf("RemoteAddr: %v", addr)
		}
	})
	tl.stop()
	if p := readAll(t, other); len(p) != 0 {
		t.Errorf("another's peer got %q", p)
	}
}
