package poller

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// busyOwner keeps its loop busy from the first byte that it gets to the second.
type busyOwner struct {
	idleOwner
	busy  bool
	until time.Time
	late  bool // nothing came in time
}

func (o *busyOwner) Turn() (busy bool) {
	if o.busy && time.Now().After(o.until) {
		o.busy, o.late = false, true
	}
	return o.busy
}

// toggle turns its owner's work on and off, or echoes if it has none.
type toggle struct {
	Conn
	owner *busyOwner
}

func (c *toggle) Received(p []byte) {
	if c.owner == nil {
		c.Send(p)
		return
	}
	c.owner.busy, c.owner.until = !c.owner.busy, time.Now().Add(5*time.Second)
}
func (c *toggle) PeerClosed()  { c.Close(nil) }
func (c *toggle) Writable()    {}
func (c *toggle) Swept()       {}
func (c *toggle) Closed(error) { c.Loop().Stop() }

const shareChild = "POLLER_SHARE_CHILD"

// A loop that is busy without end does not keep another one, which is parked,
// from its sockets. The other end is a process of its own, so that nothing in
// this one enters the scheduler.
func TestBusyLoopSharesWaiting(t *testing.T) {
	if os.Getenv(shareChild) != "" {
		os.Exit(shareProbe())
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	owner := &busyOwner{}
	var ends []*os.File
	var running sync.WaitGroup
	for _, c := range []*toggle{{owner: owner}, {}} {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.SetNonblock(pair[0], true)
		loop, err := NewLoop(owner, LoopConfig{})
		if c.owner == nil {
			loop, err = NewLoop(&idleOwner{}, LoopConfig{})
		}
		if err == nil {
			err = loop.Register(&c.Conn, pair[0], c)
		}
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, os.NewFile(uintptr(pair[1]), "end"))
		running.Go(loop.Run)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestBusyLoopSharesWaiting$")
	child.Env = append(os.Environ(), shareChild+"=1")
	child.ExtraFiles = ends
	output, err := child.CombinedOutput()
	for _, end := range ends {
		end.Close()
	}
	running.Wait()
	if err != nil {
		t.Errorf("the other end: %v: %s", err, output)
	}
	if owner.late {
		t.Error("the parked loop did not hear of its socket while the other was busy")
	}
}

// shareProbe makes the first loop busy, has the second one answer, and ends the
// work of the first.
func shareProbe() int {
	busy, parked := os.NewFile(3, "busy"), os.NewFile(4, "parked")
	time.Sleep(50 * time.Millisecond) // for both to park; less would only make the test easier to pass
	_, err1 := busy.Write([]byte("x"))
	time.Sleep(10 * time.Millisecond) // and for the busy one to be
	_, err2 := parked.Write([]byte("x"))
	_, err3 := parked.Read(make([]byte, 1))
	_, err4 := busy.Write([]byte("x"))
	if errors.Join(err1, err2, err3, err4) != nil {
		return 1
	}
	return 0
}
