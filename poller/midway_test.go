package poller

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// diary is what a midwayOwner and its connections note, in order.
type diary struct {
	lines []string
	full  func() // called behind each line, if set
}

func (d *diary) note(format string, values ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, values...))
	if d.full != nil {
		d.full()
	}
}

// midwayOwner notes its turns that have something to take, and does what it is
// told to in the first one that is midway.
type midwayOwner struct {
	idleOwner
	diary  *diary
	loop   *Loop
	mail   *Mailbox[string]
	midway func()
}

func (o *midwayOwner) Pending() bool { return !o.mail.Empty() }

func (o *midwayOwner) Turn() (busy bool) {
	if o.loop.Midway() && o.midway != nil {
		o.midway()
		o.midway = nil
	}
	for {
		letter, ok := o.mail.Take()
		if !ok {
			return false
		}
		o.diary.note("%s, midway %v", letter, o.loop.Midway())
	}
}

// slowConn takes longer than a slice for whatever it receives, and posts a letter.
type slowConn struct {
	Conn
	name  int
	owner *midwayOwner
	peer  int
}

func (c *slowConn) Received(p []byte) {
	c.owner.diary.note("read %d", c.name)
	c.owner.mail.Post(fmt.Sprintf("mail of %d", c.name))
	for end := Now() + readSlice + 1; Now() < end; {
	}
	unix.Write(c.peer, []byte("x")) // so that it is readable again, before the others are served
}
func (c *slowConn) PeerClosed()  {}
func (c *slowConn) Writable()    {}
func (c *slowConn) Swept()       {}
func (c *slowConn) Closed(error) { c.owner.diary.note("closed %d", c.name) }

// newSlowConn returns a connection that is readable from the start.
func newSlowConn(t *testing.T, o *midwayOwner, name int) *slowConn {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(pair[1]) })
	c := &slowConn{name: name, owner: o, peer: pair[1]}
	if _, err := unix.Write(pair[1], []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := o.loop.Register(&c.Conn, pair[0], c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestOwnerHasTurnsBetweenSockets makes one wait report many sockets, each of which is
// much work. The owner takes its mail between them; nevertheless every socket is
// served once before any is served again, and nothing ends before all were.
func TestOwnerHasTurnsBetweenSockets(t *testing.T) {
	const sockets = 3 * socketsPerClockRead
	d := &diary{}
	o := &midwayOwner{diary: d, mail: NewMailbox[string]()}
	var err error
	if o.loop, err = NewLoop(o, LoopConfig{}); err != nil {
		t.Fatal(err)
	}
	var conns []*slowConn
	for i := range sockets {
		conns = append(conns, newSlowConn(t, o, i))
	}
	ended, added := -1, sockets
	o.midway = func() {
		// One of which an event waits to be served; of the new one none does.
		for _, c := range conns {
			if !slices.Contains(d.lines, fmt.Sprintf("read %d", c.name)) {
				ended = c.name
				c.Close(nil)
				break
			}
		}
		newSlowConn(t, o, added)
	}
	d.full = func() {
		served := 0
		for _, line := range d.lines {
			if strings.HasPrefix(line, "read ") {
				served++
			}
		}
		// All sockets of the first wait were served, and one of the next.
		if served > sockets {
			d.full = nil
			o.loop.Stop()
		}
	}
	o.loop.Run()

	end := slices.Index(d.lines, fmt.Sprintf("closed %d", ended))
	if end < 0 {
		t.Fatalf("nothing was closed midway: %q", d.lines)
	}
	var reads, letters []string
	for _, line := range d.lines[:end] {
		if strings.HasPrefix(line, "read ") {
			reads = append(reads, line)
		} else {
			letters = append(letters, line)
		}
	}
	slices.Sort(reads)
	if once := slices.Compact(slices.Clone(reads)); len(once) != sockets-1 || len(reads) != sockets-1 {
		t.Errorf("%d sockets were served, %d times in all, want %d once each", len(once), len(reads), sockets-1)
	}
	if !strings.HasPrefix(d.lines[socketsPerClockRead], "mail of ") || !strings.HasSuffix(letters[0], "midway true") {
		t.Errorf("no letter was taken after %d sockets: %q", socketsPerClockRead, d.lines)
	}
	if len(letters) != sockets-1 || !strings.HasSuffix(letters[len(letters)-1], "midway false") {
		t.Errorf("%d letters were taken before the end, want %d: %q", len(letters), sockets-1, letters)
	}
}
