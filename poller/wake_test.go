package poller

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// idleOwner has no work.
type idleOwner struct{}

func (idleOwner) Accepted(_ *Listener, fd int)  { unix.Close(fd) }
func (idleOwner) AcceptFailed(*Listener, error) {}
func (idleOwner) Turn() bool                    { return false }
func (idleOwner) Pending() bool                 { return false }
func (idleOwner) Tick()                         {}

func newIdleLoop(t testing.TB, config LoopConfig) *Loop {
	t.Helper()
	l, err := NewLoop(idleOwner{}, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// wakeUps reads how many times the eventfd was written.
func wakeUps(t *testing.T, l *Loop) uint64 {
	t.Helper()
	var counter [8]byte
	if _, err := unix.Read(l.epoll.wakeFD, counter[:]); err == unix.EAGAIN {
		return 0
	} else if err != nil {
		t.Fatal(err)
	}
	return binary.NativeEndian.Uint64(counter[:])
}

func TestWakeUpsCoalesce(t *testing.T) {
	l := newIdleLoop(t, LoopConfig{})
	wakeOften := func() {
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 1_000 {
					l.Wake()
				}
			})
		}
		group.Wait()
	}
	wakeOften()
	if n := wakeUps(t, l); n != 0 {
		t.Errorf("a loop that is awake was woken %d times", n)
	}
	if !l.mayBlock(false) || l.epoll.ticking {
		t.Error("a loop without anything to do does not sleep, or ticks")
	}
	wakeOften()
	if n := wakeUps(t, l); n != 1 {
		t.Errorf("4,000 wake-ups of a sleeping loop wrote to the eventfd %d times", n)
	}
	l.mayBlock(false)
	l.Wake()
	if events := l.epoll.wait(true); len(events) != 1 || events[0].Fd != wakeToken {
		t.Errorf("a woken wait reports %v", events)
	}
}

// A late wake-up must not write into whatever has the descriptor's number now.
func TestWakeAfterClose(t *testing.T) {
	l := newIdleLoop(t, LoopConfig{})
	number := l.epoll.wakeFD
	l.mayBlock(false)
	l.Close()
	counter := openAt(t, number)
	l.Wake()
	var b [8]byte
	if _, err := unix.Read(counter, b[:]); err != unix.EAGAIN {
		t.Errorf("a wake-up after Close was written to another's descriptor (read: %v)", err)
	}
}

func TestSecondCloseLeavesReusedDescriptors(t *testing.T) {
	l := newIdleLoop(t, LoopConfig{})
	number := l.epoll.fd
	l.Close()
	fd := openAt(t, number)
	l.Close()
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		t.Errorf("a second Close closed another's descriptor: %v", err)
	}
}

// openAt opens an eventfd that has the given number, which must be free.
func openAt(t *testing.T, number int) int {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if fd != number {
		if err := unix.Dup3(fd, number, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
	}
	t.Cleanup(func() { unix.Close(number) })
	return number
}

// A copy of a closed listener, as a child process has between fork and exec,
// still takes clients; the loop must not hear of them for ever.
func TestCopyOfAClosedListener(t *testing.T) {
	l := newIdleLoop(t, LoopConfig{})
	listeners, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), 1)
	if err != nil {
		t.Fatal(err)
	}
	duplicate, err := unix.FcntlInt(uintptr(listeners[0].fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(duplicate)
	if err := l.AddListener(listeners[0]); err != nil {
		t.Fatal(err)
	}
	l.CloseListeners()
	client, err := net.Dial("tcp4", listeners[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if events := l.epoll.wait(false); len(events) != 0 {
		t.Errorf("a closed listener is reported: %v", events)
	}
}
