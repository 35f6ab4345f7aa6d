package poller_test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

// A detached socket is the caller's: the loop neither reads nor closes it, and
// its place is free at once.
func TestDetach(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(c *testConn)
	}{
		{"reading", func(*testConn) {}},
		{"paused", func(c *testConn) { c.PauseReading() }},
		{"writing", func(c *testConn) { c.WantWrite(true) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			tl := startLoop(t, poller.LoopConfig{})
			tl.connect(nil) // so that the loop has a reason to tick
			c, peer := tl.connect(nil)
			var fd int
			tl.do(func() {
				test.prepare(c)
				var ok bool
				if fd, ok = c.Detach(); !ok {
					t.Error("an open connection is not detached")
				}
				if _, again := c.Detach(); again {
					t.Error("it is detached twice")
				}
				if n, err := c.Send([]byte("x")); err == nil {
					t.Errorf("%d bytes were sent after the end", n)
				}
			})
			if err := await(t, c.closed, "Closed"); !errors.Is(err, poller.ErrDetached) {
				t.Errorf("Closed(%v)", err)
			}
			if _, err := peer.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			tl.checkIdle() // though bytes wait
			if _, err := unix.Write(fd, []byte("world")); err != nil {
				t.Fatal(err)
			}
			if got := string(readFull(t, peer, 5)); got != "world" {
				t.Errorf("the peer received %q", got)
			}
			buffer := make([]byte, 10)
			if n, err := unix.Read(fd, buffer); err != nil || string(buffer[:n]) != "hello" {
				t.Errorf("read %q, %v", buffer[:max(n, 0)], err)
			}
			unix.Close(fd)
			tl.do(func() {
				if n := tl.Conns(); n != 1 {
					t.Errorf("the loop has %d connections", n)
				}
			})
		})
	}
}
