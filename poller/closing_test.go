package poller

import (
	"testing"

	"golang.org/x/sys/unix"
)

// endingOwner closes all of its connections in its first turn, and stops the loop
// when all have ended. Its Pending says no: what is left to close must keep the loop awake.
type endingOwner struct {
	idleOwner
	loop         *Loop
	conns        []*costlyEnd
	turns, ended int
}

func (o *endingOwner) Turn() (busy bool) {
	if o.turns++; o.turns == 1 {
		for _, c := range o.conns {
			c.Close(nil)
		}
	}
	if o.ended == len(o.conns) {
		o.loop.Stop()
	}
	return false
}

// costlyEnd takes longer to end than a turn closes connections.
type costlyEnd struct {
	Conn
	owner *endingOwner
}

func (*costlyEnd) Received([]byte) {}
func (*costlyEnd) PeerClosed()     {}
func (*costlyEnd) Writable()       {}
func (*costlyEnd) Swept()          {}
func (c *costlyEnd) Closed(error) {
	c.owner.ended++
	for began := Now(); Now() <= began+closeSlice; {
	}
}

// TestManyEndsTakeManyTurns has connections end at once whose handlers have much to
// give up: the owner has a turn between any two of them, and all of them end. When
// the loop itself is closed, all end at once.
func TestManyEndsTakeManyTurns(t *testing.T) {
	const conns = 8
	newOwner := func() *endingOwner {
		o := &endingOwner{}
		var err error
		if o.loop, err = NewLoop(o, LoopConfig{}); err != nil {
			t.Fatal(err)
		}
		for range conns {
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Close(pair[1]) })
			c := &costlyEnd{owner: o}
			if err := o.loop.Register(&c.Conn, pair[0], c); err != nil {
				t.Fatal(err)
			}
			o.conns = append(o.conns, c)
		}
		return o
	}
	t.Run("running", func(t *testing.T) {
		o := newOwner()
		o.loop.Run()
		if o.ended != conns || o.turns != conns+1 {
			t.Errorf("%d of %d connections ended in %d turns, want one in each but the last", o.ended, conns, o.turns)
		}
	})
	t.Run("closed", func(t *testing.T) {
		o := newOwner()
		o.loop.Close()
		if o.ended != conns {
			t.Errorf("%d of %d connections ended", o.ended, conns)
		}
	})
}
