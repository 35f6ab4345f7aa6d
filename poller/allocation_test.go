//go:build !race

package poller

import (
	"testing"

	"golang.org/x/sys/unix"
)

// echoHandler sends back what it receives, and counts what there was no room
// for.
type echoHandler struct {
	conn  Conn
	short int
}

func (h *echoHandler) Received(p []byte) {
	if n, err := h.conn.Send(p); n < len(p) || err != nil {
		h.short++
	}
}

func (*echoHandler) PeerClosed()  {}
func (*echoHandler) Writable()    {}
func (*echoHandler) Swept()       {}
func (*echoHandler) Closed(error) {}

// The race detector's twin of the raw calls is exempt: x/sys/unix allocates.
func TestHotPathsAllocateNothing(t *testing.T) {
	l := newIdleLoop(t, LoopConfig{SweepInterval: TickInterval})
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	h := new(echoHandler)
	if err := l.Register(&h.conn, fds[0], h); err != nil {
		t.Fatal(err)
	}
	message, answer := make([]byte, 128), make([]byte, 256)
	vectors := [][]byte{message[:64], nil, message[64:]}
	mailbox := NewMailbox[func()]()
	exchange := func() {
		if _, err := unix.Write(fds[1], message); err != nil {
			t.Fatal(err)
		}
		l.dispatch(l.epoll.wait(l.mayBlock(false)))
		if n, err := h.conn.SendVectors(vectors); n != len(message) || err != nil {
			t.Fatalf("SendVectors: %d, %v", n, err)
		}
		if n, err := unix.Read(fds[1], answer); n != len(answer) || err != nil {
			t.Fatalf("the peer read %d bytes: %v", n, err)
		}
	}
	tests := []struct {
		name string
		run  func()
	}{
		{"a turn that receives and sends", exchange},
		{"a tick with a sweep", func() { l.now += TickInterval; l.tickDue = true; l.tick() }},
		{"a wake-up", func() {
			l.asleep.Store(true)
			l.Wake()
			l.dispatch(l.epoll.wait(false))
		}},
		{"interests", func() {
			h.conn.PauseReading()
			h.conn.WantWrite(true)
			h.conn.WantWrite(false)
			h.conn.ResumeReading()
		}},
		{"looking for mail", func() { mailbox.Take(); mailbox.Empty() }},
	}
	for _, test := range tests {
		if n := testing.AllocsPerRun(200, test.run); n != 0 {
			t.Errorf("%s: %v allocations", test.name, n)
		}
	}
	if h.short > 0 {
		t.Errorf("%d echoes were cut short", h.short)
	}
}
