package poller_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
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

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// serve makes the loop accept on loopback and pass each connection to set
// before it is registered. It returns the address.
func (tl *testLoop) serve(set func(c *testConn)) netip.AddrPort {
	tl.t.Helper()
	listeners := must[[]*poller.Listener](tl.t)(poller.Listen(loopback, 1))
	tl.do(func() {
		tl.accepted = func(_ *poller.Listener, fd int) {
			c := tl.newConn()
			set(c)
			if err := tl.Register(&c.Conn, fd, c); err != nil {
				tl.t.Error(err)
			}
		}
		if err := tl.AddListener(listeners[0]); err != nil {
			tl.t.Error(err)
		}
	})
	return listeners[0].Addr()
}

func dialPeer(t testing.TB, addr netip.AddrPort) *net.TCPConn {
	t.Helper()
	peer := must[net.Conn](t)(net.Dial("tcp", addr.String())).(*net.TCPConn)
	t.Cleanup(func() { peer.Close() })
	return peer
}

func TestEcho(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{ReadBuffer: 4 << 10})
	addr := tl.serve((*testConn).echo)
	var group sync.WaitGroup
	for i := range 16 {
		peer := dialPeer(t, addr)
		group.Go(func() {
			data := patternOf(100_000 + i)
			go func() {
				for p := range slices.Chunk(data, 61+i*977) {
					if _, err := peer.Write(p); err != nil {
						t.Error(err)
						return
					}
				}
				if err := peer.CloseWrite(); err != nil {
					t.Error(err)
				}
			}()
			var got bytes.Buffer
			if err := peer.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Error(err)
			}
			if _, err := got.ReadFrom(peer); err != nil {
				t.Error(err)
			}
			if !bytes.Equal(got.Bytes(), data) {
				t.Errorf("peer %d: %d bytes came back changed (sent %d)", i, got.Len(), len(data))
			}
		})
	}
	group.Wait()
}

func TestPauseAndResumeReading(t *testing.T) {
	const total = 8 << 20
	tl := startLoop(t, poller.LoopConfig{})
	var received atomic.Int64
	done := make(chan struct{})
	c, peer := tl.connect(func(c *testConn, fd int) {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 64<<10)
		c.received = func(p []byte) {
			offset := int(received.Load())
			if i := differs(p, offset); i >= 0 {
				t.Errorf("byte %d is wrong", offset+i)
				c.Close(nil)
			}
			if received.Add(int64(len(p))) == total {
				close(done)
			}
		}
	})
	if err := peer.SetWriteBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	tl.do(c.PauseReading)
	before := received.Load()

	data := patternOf(total)
	if err := peer.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	written, err := peer.Write(data)
	if err == nil || written > 2<<20 {
		t.Fatalf("a paused connection took %d bytes (error: %v)", written, err)
	}
	if n := received.Load() - before; n != 0 {
		t.Errorf("%d bytes were received while paused", n)
	}
	tl.checkIdle()

	tl.do(c.ResumeReading)
	if err := peer.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Write(data[written:]); err != nil {
		t.Fatal(err)
	}
	await(t, done, "all bytes")
}

// A handler that pauses in Received keeps what the kernel has for later.
func TestPauseInReceived(t *testing.T) {
	const total, buffer = 100_000, 1_000
	tl := startLoop(t, poller.LoopConfig{ReadBuffer: buffer})
	var got []byte
	steps := make(chan int, total)
	c, peer := tl.connect(func(c *testConn, _ int) {
		c.received = func(p []byte) {
			got = append(got, p...)
			c.PauseReading()
			steps <- len(got)
		}
	})
	data := patternOf(total)
	if _, err := peer.Write(data); err != nil {
		t.Fatal(err)
	}
	for have := 0; have < total; {
		now := await(t, steps, "the next buffer")
		if now-have > buffer {
			t.Fatalf("%d bytes in one turn", now-have)
		}
		have = now
		tl.do(c.ResumeReading)
	}
	if !bytes.Equal(got, data) {
		t.Error("bytes were lost or changed")
	}
}

// One busy socket takes one buffer per turn, so the others are served between.
func TestBusySocketSharesTheLoop(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{ReadBuffer: 1 << 10})
	var flood atomic.Int64
	begun := make(chan struct{})
	stop := make(chan struct{})
	_, flooder := tl.connect(func(c *testConn, _ int) {
		c.received = func([]byte) {
			if flood.Add(1) == 1 {
				close(begun)
			}
		}
	})
	_, quiet := tl.connect(func(c *testConn, _ int) { c.echo() })
	go func() {
		junk := make([]byte, 1<<20)
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := flooder.Write(junk); err != nil {
					return
				}
			}
		}
	}()
	defer close(stop)
	<-begun
	for range 50 {
		if _, err := quiet.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		readFull(t, quiet, 5)
	}
}

func TestStop(t *testing.T) {
	tests := []struct {
		name string
		run  func(t *testing.T, tl *testLoop)
	}{
		{"before Run", func(t *testing.T, tl *testLoop) {
			tl.Stop()
			tl.start()
		}},
		{"asleep", func(t *testing.T, tl *testLoop) {
			tl.start()
			tl.do(func() {})
			tl.Stop()
		}},
		{"busy", func(t *testing.T, tl *testLoop) {
			tl.turn = func() bool { return true }
			tl.start()
			tl.connect(nil)
			tl.do(func() {})
			tl.Stop()
		}},
		{"by itself", func(t *testing.T, tl *testLoop) {
			tl.start()
			tl.do(tl.Stop)
		}},
		{"twice, and after the end", func(t *testing.T, tl *testLoop) {
			tl.start()
			tl.Stop()
			tl.Stop()
			await(t, tl.ended, "the loop's end")
			tl.Stop()
			tl.Wake()
			tl.Close()
		}},
		{"Close without Run", func(t *testing.T, tl *testLoop) {
			tl.Close()
			tl.Close()
			tl.start() // returns at once
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := openDescriptors(t)
			tl := newLoop(t, poller.LoopConfig{})
			test.run(t, tl)
			await(t, tl.ended, "the loop's end")
			for _, c := range tl.conns {
				if err := await(t, c.closed, "Closed"); !errors.Is(err, poller.ErrLoopStopped) {
					t.Errorf("Closed(%v)", err)
				}
			}
			if n := openDescriptors(t) - before - len(tl.conns); n != 0 { // peers are still open
				t.Errorf("%d descriptors were left open", n)
			}
		})
	}
}

// A handler that redials when it is told of an end must not keep a loop from
// ending, nor leave a socket behind.
func TestNothingIsAddedToAClosedLoop(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	spare, _ := tcpPair(t)
	defer unix.Close(spare)
	listeners := must[[]*poller.Listener](t)(poller.Listen(loopback, 1))
	defer poller.CloseListeners(listeners)
	var errs []error
	tl.connect(func(c *testConn, _ int) {
		c.over = func(error) {
			errs = append(errs,
				tl.Dial(new(poller.Conn), listeners[0].Addr(), netip.AddrPort{}, c),
				tl.Register(new(poller.Conn), spare, c),
				tl.AddListener(listeners[0]))
		}
	})
	tl.stop()
	if len(errs) != 3 {
		t.Fatalf("%d attempts", len(errs))
	}
	for i, err := range errs {
		if !errors.Is(err, poller.ErrLoopStopped) {
			t.Errorf("attempt %d: %v, want ErrLoopStopped", i, err)
		}
	}
	if n := tl.Conns(); n != 0 {
		t.Errorf("%d connections in a closed loop", n)
	}
}

func TestNothingLeaks(t *testing.T) {
	descriptors, goroutines := openDescriptors(t), runtime.NumGoroutine()
	for range 3 {
		tl := newLoop(t, poller.LoopConfig{})
		tl.start()
		addr := tl.serve((*testConn).echo)
		var peers []net.Conn
		for i := range 100 {
			peer := must[net.Conn](t)(net.Dial("tcp4", addr.String()))
			peers = append(peers, peer)
			if _, err := fmt.Fprintf(peer, "%04d", i); err != nil {
				t.Fatal(err)
			}
			if got := readFull(t, peer, 4); string(got) != fmt.Sprintf("%04d", i) {
				t.Fatalf("peer %d got %q", i, got)
			}
			switch i % 4 {
			case 0:
				peer.Close()
			case 1:
				resetPeer(t, peer.(*net.TCPConn))
			}
		}
		tl.stop()
		for _, peer := range peers {
			peer.Close()
		}
	}
	if n := openDescriptors(t) - descriptors; n != 0 {
		t.Errorf("%d descriptors leaked", n)
	}
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > goroutines {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines leaked", runtime.NumGoroutine()-goroutines)
		}
		runtime.Gosched()
	}
}

func TestEachConnVisitsTheOpen(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	a, _ := tl.connect(nil)
	b, _ := tl.connect(nil)
	tl.do(func() {
		a.Close(nil)
		a.Close(nil)
		var seen []poller.Handler
		tl.EachConn(func(h poller.Handler) { seen = append(seen, h) })
		if len(seen) != 1 || seen[0] != poller.Handler(b) {
			t.Errorf("visited %v", seen)
		}
		if a.Open() || !b.Open() || a.Loop() != tl.Loop {
			t.Error("wrong state of a connection")
		}
	})
	await(t, a.closed, "Closed")
	tl.do(func() {
		if n := tl.Conns(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

func TestRegisterFails(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	tl.do(func() {
		c := new(poller.Conn)
		if err := tl.Register(c, 1<<20, &testConn{}); !errors.Is(err, unix.EBADF) {
			t.Errorf("Register of a bad descriptor: %v", err)
		}
		if n := tl.Conns(); n != 0 {
			t.Errorf("%d connections", n)
		}
	})
}
