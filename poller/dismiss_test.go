package poller_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

const (
	maxLingering = 5
	lastAnswer   = "HTTP/1.1 503 Service Unavailable\r\n\r\n"
	lastRequest  = "GET / HTTP/1.1\r\n\r\n"
)

func wholeRequest(p []byte) bool { return bytes.HasSuffix(p, []byte("\r\n\r\n")) }

// dismissed accepts sockets and dismisses them at once.
func dismissed(t *testing.T, tl *testLoop, fds []int) {
	t.Helper()
	tl.do(func() {
		for _, fd := range fds {
			tl.Dismiss(fd, []byte(lastAnswer), wholeRequest, maxLingering)
		}
	})
}

// awaitDescriptors waits until as many are open.
func awaitDescriptors(t *testing.T, tl *testLoop, want int) {
	t.Helper()
	for deadline := time.Now().Add(patience); openDescriptors(t) != want; tl.do(func() {}) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors are open, want %d", openDescriptors(t), want)
		}
	}
}

// readsAnswer reads the answer and the FIN behind it.
func readsAnswer(t *testing.T, peer *net.TCPConn) {
	t.Helper()
	if got := readAll(t, peer); string(got) != lastAnswer {
		t.Errorf("received %q", got)
	}
}

// Whoever is dismissed reads the whole answer and a FIN, whether it speaks
// before it, behind it, or not at all.
func TestDismiss(t *testing.T) {
	for _, test := range []struct {
		name          string
		before, after string
		lingers       bool
	}{
		{"the request is there", lastRequest, "", false},
		{"half of it is", lastRequest[:9], lastRequest[9:], true},
		{"it comes later", "", lastRequest, true},
		{"it is large and comes later", "", string(patternOf(100_000)), true},
		{"nothing is said", "", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			tl := startLoop(t, poller.LoopConfig{})
			before := openDescriptors(t)
			fd, peer := tcpPair(t)
			if _, err := io.WriteString(peer, test.before); err != nil {
				t.Fatal(err)
			}
			if test.before != "" {
				awaitArrival(t, fd)
			}
			dismissed(t, tl, []int{fd})
			if test.before == "" {
				silent(t, peer)
			}
			if lingers := openDescriptors(t) == before+2; lingers != test.lingers {
				t.Errorf("the socket lingers: %v", lingers)
			}
			if _, err := io.WriteString(peer, test.after); err != nil {
				t.Fatal(err)
			}
			readsAnswer(t, peer)
			peer.Close()
			awaitDescriptors(t, tl, before)
		})
	}
}

// silent fails if something has arrived, which would be there by now.
func silent(t *testing.T, peer *net.TCPConn) {
	t.Helper()
	if err := peer.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := peer.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("received %d bytes and %v before the request was sent", n, err)
	}
}

// awaitArrival waits until something has arrived.
func awaitArrival(t *testing.T, fd int) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		if n, err := unix.Poll(fds, int(patience.Milliseconds())); err != unix.EINTR {
			if n != 1 {
				t.Fatalf("nothing arrives: %v", err)
			}
			return
		}
	}
}

// Who never closes is not waited for longer than a second.
func TestDismissImpatiently(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	before := openDescriptors(t)
	fd, peer := tcpPair(t)
	dismissed(t, tl, []int{fd})
	readsAnswer(t, peer)
	awaitDescriptors(t, tl, before+1) // the peer's
	tl.checkIdleWithoutTicks()
}

// checkIdleWithoutTicks fails if the loop still ticks.
func (tl *testLoop) checkIdleWithoutTicks() {
	tl.t.Helper()
	tl.do(func() {})
	before := tl.turns.Load()
	select {
	case <-tl.ticks: // an old one
	default:
	}
	select {
	case <-tl.ticks:
		tl.t.Errorf("a loop without sockets ticks; it turned %d times", tl.turns.Load()-before)
	case <-time.After(3 * poller.TickInterval):
	}
}

func TestDismissMany(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	before := openDescriptors(t)
	var fds []int
	var peers []*net.TCPConn
	for range maxLingering + 10 {
		fd, peer := tcpPair(t)
		fds, peers = append(fds, fd), append(peers, peer)
	}
	dismissed(t, tl, fds)
	if n := openDescriptors(t) - before - len(peers); n != maxLingering {
		t.Errorf("%d sockets linger", n)
	}
	for _, peer := range peers {
		readsAnswer(t, peer)
	}
	tl.stop()
	if n := openDescriptors(t) - before - len(peers); n > 0 {
		t.Errorf("%d descriptors are left behind the loop", n)
	}
}

func TestDismissTheGone(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	before := openDescriptors(t)
	reset, resetting := tcpPair(t)
	finished, finishing := tcpPair(t)
	open, _ := tcpPair(t)
	resetPeer(t, resetting)
	if _, err := io.WriteString(finishing, lastRequest); err != nil {
		t.Fatal(err)
	}
	if err := finishing.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); !poller.PeerGone(reset) || !poller.PeerGone(finished); {
		if time.Now().After(deadline) {
			t.Fatal("the ends of peers are not seen")
		}
	}
	if poller.PeerGone(open) {
		t.Error("an open peer is taken for gone")
	}
	unix.Close(open)
	dismissed(t, tl, []int{reset, finished})
	readsAnswer(t, finishing)
	finishing.Close()
	awaitDescriptors(t, tl, before+1) // the peer of the open one
}

// TestSendTimeout has a peer that never reads, and so keeps its window shut: the
// kernel gives the connection up.
func TestSendTimeout(t *testing.T) {
	config := poller.ListenConfig{SendTimeout: 300 * time.Millisecond}
	tl := startLoop(t, poller.LoopConfig{})
	listeners := must[[]*poller.Listener](t)(config.Listen(loopback, 1))
	accepted := make(chan *testConn, 1)
	tl.do(func() {
		tl.accepted = func(_ *poller.Listener, fd int) {
			c := tl.newConn()
			if err := tl.Register(&c.Conn, fd, c); err != nil {
				t.Error(err)
			}
			c.writable = func() {
				for {
					if n, err := c.Send(make([]byte, 64<<10)); err != nil {
						c.Close(err)
						return
					} else if n == 0 {
						return
					}
				}
			}
			c.WantWrite(true)
			accepted <- c
		}
		if err := tl.AddListener(listeners[0]); err != nil {
			t.Error(err)
		}
	})
	dialPeer(t, listeners[0].Addr())
	c := await(t, accepted, "a connection")
	if err := await(t, c.closed, "the end"); !errors.Is(err, unix.ETIMEDOUT) {
		t.Errorf("the connection ended with %v", err)
	}
}
