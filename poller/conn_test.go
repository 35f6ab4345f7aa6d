package poller_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

func TestHalfClose(t *testing.T) {
	const size = 1 << 20
	tl := startLoop(t, poller.LoopConfig{})
	var received, fins int
	var unsent poller.Unsent
	c, peer := tl.connect(func(c *testConn, _ int) {
		c.received = func(p []byte) {
			if i := differs(p, received); i >= 0 || fins > 0 {
				t.Errorf("byte %d is wrong or came after the FIN", received+i)
			}
			received += len(p)
		}
		c.peerClosed = func() {
			fins++
			if received != size {
				t.Errorf("PeerClosed after %d of %d bytes", received, size)
			}
			if err := unsent.Send(&c.Conn, patternOf(size)); err != nil {
				t.Error(err)
			}
		}
		c.writable = func() {
			if err := unsent.Flush(&c.Conn); err != nil {
				t.Error(err)
			}
		}
	})
	if _, err := peer.Write(patternOf(size)); err != nil {
		t.Fatal(err)
	}
	if err := peer.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if i := differs(readFull(t, peer, size), 0); i >= 0 {
		t.Errorf("byte %d of the answer is wrong", i)
	}
	tl.checkIdle()
	tl.do(func() {
		if fins != 1 {
			t.Errorf("PeerClosed was called %d times", fins)
		}
		c.CloseWrite()
	})
	if rest := readAll(t, peer); len(rest) != 0 {
		t.Errorf("%d bytes after the answer", len(rest))
	}
	tl.checkIdle() // both directions are shut: a hang-up that nobody may spin on
	tl.do(func() { c.Close(nil) })
	await(t, c.closed, "Closed")
}

func TestResetByPeer(t *testing.T) {
	fill := func(c *testConn) {
		junk := make([]byte, 1<<20)
		for n := 1; n > 0; {
			n, _ = c.Send(junk)
		}
		c.WantWrite(true)
	}
	sendOn := func(c *testConn) {
		c.writable = func() {
			if _, err := c.Send([]byte("more")); err != nil {
				c.Close(err)
			}
		}
	}
	tests := []struct {
		name    string
		prepare func(c *testConn)
		after   func(c *testConn) // nil: noticed without help
	}{
		{"open", func(*testConn) {}, nil},
		{"pending write", func(c *testConn) { sendOn(c); fill(c) }, nil},
		{"pending write, paused", func(c *testConn) { sendOn(c); c.PauseReading(); fill(c) }, nil},
		{"paused, resumed later", func(c *testConn) { c.PauseReading() }, func(c *testConn) { c.ResumeReading() }},
		{"paused, then sends", func(c *testConn) { sendOn(c); c.PauseReading() }, func(c *testConn) { c.WantWrite(true) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tl := startLoop(t, poller.LoopConfig{})
			c, peer := tl.connect(nil)
			tl.do(func() { test.prepare(c) })
			resetPeer(t, peer)
			if test.after != nil {
				tl.checkIdle()
				if n := c.ends.Load(); n != 0 {
					t.Error("a paused connection without anything to send was closed")
				}
				tl.do(func() { test.after(c) })
			}
			// A send may meet the reset first (ECONNRESET) or what follows it.
			err := await(t, c.closed, "Closed")
			if !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
				t.Errorf("Closed(%v)", err)
			}
			tl.do(func() {})
		})
	}
}

// What came before the reset is received before it is reported.
func TestBytesBeforeReset(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{ReadBuffer: 512})
	var received int
	c, peer := tl.connect(func(c *testConn, _ int) {
		c.received = func(p []byte) { received += len(p) }
	})
	tl.do(c.PauseReading)
	if _, err := peer.Write(make([]byte, 5_000)); err != nil {
		t.Fatal(err)
	}
	resetPeer(t, peer)
	tl.do(c.ResumeReading)
	await(t, c.closed, "Closed")
	tl.do(func() {
		if received != 5_000 {
			t.Errorf("%d of 5,000 bytes were received", received)
		}
	})
}

// A peer that vanishes says nothing; what we send to it, asked for by the
// sweep, brings it to light.
func TestVanishedPeer(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{SweepInterval: poller.TickInterval})
	ping := false
	c, peer := tl.connect(func(c *testConn, _ int) {
		c.swept = func() {
			if ping {
				if _, err := c.Send([]byte("ping")); err != nil {
					c.Close(err)
				}
			}
		}
	})
	// A socket closed in repair mode is gone without a word on the wire.
	raw := must[interface {
		Control(func(fd uintptr)) error
	}](t)(peer.SyscallConn())
	var repair error
	if err := raw.Control(func(fd uintptr) {
		repair = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1)
	}); err != nil {
		t.Fatal(err)
	}
	if repair != nil {
		t.Skipf("TCP_REPAIR: %v", repair)
	}
	peer.Close()
	tl.awaitTicks(2)
	tl.do(func() {
		if !c.Open() {
			t.Error("closed before anything could tell")
		}
		ping = true
	})
	if err := await(t, c.closed, "Closed"); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("Closed(%v)", err)
	}
}

func TestRemoteAddr(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	c, peer := tl.connect(nil)
	tl.do(func() {
		if got, want := c.RemoteAddr(), netip.MustParseAddrPort(peer.LocalAddr().String()); got != want {
			t.Errorf("RemoteAddr: %v, want %v", got, want)
		}
	})
}

// Every connection carries one identity in all its bytes, so a report that
// reaches another connection's handler shows.
func TestDescriptorsAreReusedSafely(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	addr := tl.serve(func(c *testConn) {
		var identity []byte
		c.echo()
		send := c.received
		c.received = func(p []byte) {
			for len(p) > 0 {
				// Identities are written in one piece of 8 bytes over
				// loopback, so they come whole.
				if identity == nil {
					identity = append(identity, p[:8]...)
				}
				if string(p[:8]) != string(identity) {
					t.Errorf("bytes of %x reached the handler of %x", p[:8], identity)
				}
				send(p[:8])
				p = p[8:]
			}
		}
	})
	var next atomic.Uint64
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for round := range 100 {
				var id [8]byte
				binary.BigEndian.PutUint64(id[:], next.Add(1))
				if err := visit(addr, id, round); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

// visit connects, has the identity echoed, and leaves in one of several ways.
func visit(addr netip.AddrPort, id [8]byte, round int) error {
	conn, err := net.Dial("tcp4", addr.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	for range round%3 + 1 {
		if _, err := conn.Write(id[:]); err != nil {
			return err
		}
	}
	for range round%3 + 1 {
		var got [8]byte
		if _, err := io.ReadFull(conn, got[:]); err != nil {
			return err
		}
		if got != id {
			return errors.New("another's answer arrived")
		}
	}
	peer := conn.(*net.TCPConn)
	switch round % 4 {
	case 0: // leaves with something under way
		_, _ = peer.Write(id[:])
	case 1:
		_, _ = peer.Write(id[:])
		_ = peer.SetLinger(0)
	case 2:
		_ = peer.CloseWrite()
		_, err = io.ReadAll(peer)
	}
	return err
}
