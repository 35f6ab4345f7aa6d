package poller_test

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

// TestWalk walks in portions of every size while connections come and go between
// them. Those that stay must be visited once.
func TestWalk(t *testing.T) {
	const count = 20
	tl := startLoop(t, poller.LoopConfig{})
	register := func() *testConn {
		pair := must[[2]int](t)(unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0))
		t.Cleanup(func() { unix.Close(pair[1]) })
		c := tl.newConn()
		if err := tl.Register(&c.Conn, pair[0], c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for portion := 1; portion <= count+1; portion++ {
		visits := make(map[poller.Handler]int)
		var staying, leaving []*testConn
		tl.do(func() {
			for i := range count {
				if c := register(); i%3 == 0 {
					leaving = append(leaving, c)
				} else {
					staying = append(staying, c)
				}
			}
		})
		steps := 0
		for next := 0; next >= 0; steps++ {
			tl.do(func() {
				visited := 0
				next = tl.Walk(next, portion, func(h poller.Handler) bool {
					visited++
					visits[h]++
					return true
				})
				if visited > portion {
					t.Errorf("%d visits in a portion of %d", visited, portion)
				}
			})
			if len(leaving) > 0 {
				gone := leaving[0]
				leaving = leaving[1:]
				tl.do(func() { gone.Close(nil) })
				tl.do(func() { register() }) // in the slot that came free
			}
		}
		for i, c := range staying {
			if n := visits[c]; n != 1 {
				t.Errorf("in portions of %d, connection %d is visited %d times", portion, i, n)
			}
		}
		if steps < count/portion {
			t.Errorf("portions of %d take %d steps", portion, steps)
		}
		tl.do(func() {
			tl.EachConn(func(h poller.Handler) { h.(*testConn).Close(nil) })
		})
	}
	tl.do(func() {
		for range 3 {
			register()
		}
		calls := 0
		if next := tl.Walk(0, 100, func(poller.Handler) bool { calls++; return calls < 2 }); next != -1 || calls != 2 {
			t.Errorf("a walk that ends early visits %d and goes on at %d", calls, next)
		}
		if next := tl.Walk(1000, 100, func(poller.Handler) bool { t.Error("visited"); return true }); next != -1 {
			t.Errorf("a walk behind the last goes on at %d", next)
		}
	})
}

func TestTraffic(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	listener := must[net.Listener](t)(net.Listen("tcp4", "127.0.0.1:0"))
	defer listener.Close()
	peer := must[net.Conn](t)(net.Dial("tcp4", listener.Addr().String()))
	defer peer.Close()
	accepted := must[net.Conn](t)(listener.Accept())
	file, err := accepted.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	accepted.Close()
	fd := must[int](t)(unix.Dup(int(file.Fd())))
	file.Close()
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	received := make(chan int, 10)
	var c *testConn
	tl.do(func() {
		c = tl.newConn()
		c.received = func(p []byte) { received <- len(p) }
		if err := tl.Register(&c.Conn, fd, c); err != nil {
			t.Error(err)
		}
	})
	if _, err := peer.Write([]byte("12345")); err != nil {
		t.Fatal(err)
	}
	if n := await(t, received, "the bytes"); n != 5 {
		t.Fatalf("received %d bytes", n)
	}
	tl.do(func() {
		if _, err := c.Send([]byte("1234567")); err != nil {
			t.Error(err)
		}
	})
	if n, err := peer.Read(make([]byte, 100)); n != 7 || err != nil {
		t.Fatalf("received %d, %v", n, err)
	}
	tl.do(func() {
		traffic, err := c.Traffic()
		if err != nil || traffic.Received != 5 || traffic.Sent != 7 || traffic.Unsent != 0 || traffic.RTT <= 0 {
			t.Errorf("the traffic is %+v, %v", traffic, err)
		}
		c.Close(nil)
	})
	await(t, c.closed, "the end")
	tl.do(func() {
		if traffic, err := c.Traffic(); err == nil {
			t.Errorf("a closed socket has the traffic %+v", traffic)
		}
	})
}
