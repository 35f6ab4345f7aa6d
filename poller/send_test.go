package poller_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

// sender is one way to send a long stream to a peer that reads slowly. It
// sends on when there is room and reports whether all was sent.
type sender func(c *testConn, data []byte) (done bool, err error)

// bySend uses Send as a handler without a buffer of its own would.
func bySend() sender {
	sent := 0
	return func(c *testConn, data []byte) (bool, error) {
		for sent < len(data) {
			end := min(sent+7_001, len(data))
			n, err := c.Send(data[sent:end])
			if err != nil {
				return false, err
			}
			sent += n
			if sent < end {
				c.WantWrite(true)
				return false, nil
			}
		}
		c.WantWrite(false)
		return true, nil
	}
}

// byVectors uses SendVectors with up to 200 buffers of 0 to 999 bytes.
func byVectors() sender {
	sent := 0
	random := rand.New(rand.NewPCG(1, 2))
	return func(c *testConn, data []byte) (bool, error) {
		for sent < len(data) {
			var buffers [][]byte
			rest, offered := data[sent:], 0
			for range random.IntN(200) + 1 {
				n := min(random.IntN(1_000)*random.IntN(2), len(rest))
				buffers = append(buffers, rest[:n])
				rest, offered = rest[n:], offered+n
			}
			n, err := c.SendVectors(buffers)
			if err != nil {
				return false, err
			}
			sent += n
			if n == 0 && offered > 0 {
				c.WantWrite(true)
				return false, nil
			}
		}
		c.WantWrite(false)
		return true, nil
	}
}

// byUnsent adds to what waits each time there is room.
func byUnsent() sender {
	var unsent poller.Unsent
	given := 0
	return func(c *testConn, data []byte) (bool, error) {
		if err := unsent.Flush(&c.Conn); err != nil {
			return false, err
		}
		for given < len(data) && unsent.Len() < 300_000 {
			end := min(given+29_989, len(data))
			if err := unsent.Send(&c.Conn, data[given:end]); err != nil {
				return false, err
			}
			given = end
		}
		return given == len(data) && unsent.Len() == 0, nil
	}
}

func TestSlowPeerGetsEveryByte(t *testing.T) {
	const size = 3 << 20
	tests := []struct {
		name string
		make func() sender
	}{
		{"Send", bySend},
		{"SendVectors", byVectors},
		{"Unsent", byUnsent},
		{"Unsent, given", func() sender { return byGiving(t) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tl := startLoop(t, poller.LoopConfig{})
			data, rooms, all := patternOf(size), 0, false
			c, peer := tl.connect(func(c *testConn, fd int) {
				_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 32<<10)
				send := test.make()
				c.writable = func() {
					rooms++
					if all {
						t.Error("Writable after all was sent")
					}
					var err error
					if all, err = send(c, data); err != nil {
						c.Close(err)
					}
				}
			})
			if err := peer.SetReadBuffer(16 << 10); err != nil {
				t.Fatal(err)
			}
			tl.do(func() { c.writable() })
			for got := 0; got < size; {
				n := min(10_007, size-got)
				if i := differs(readFull(t, peer, n), got); i >= 0 {
					t.Fatalf("byte %d is wrong", got+i)
				}
				got += n
			}
			tl.do(func() {
				if !all {
					t.Error("the sender does not know that all was sent")
				}
				if rooms < 10 {
					t.Errorf("Writable was called %d times: the peer was not slow", rooms)
				}
				c.CloseWrite()
			})
			if rest := readAll(t, peer); len(rest) != 0 {
				t.Errorf("%d bytes too many", len(rest))
			}
		})
	}
}

func TestSendVectorsBounds(t *testing.T) {
	repeat := func(n int, s string) (buffers [][]byte) {
		for range n {
			buffers = append(buffers, []byte(s))
		}
		return buffers
	}
	tests := []struct {
		name    string
		buffers [][]byte
		want    string
	}{
		{"none", nil, ""},
		{"nil", [][]byte{nil}, ""},
		{"empty", repeat(100, ""), ""},
		{"one", repeat(1, "abc"), "abc"},
		{"empty between", [][]byte{{}, []byte("a"), nil, []byte("b"), {}}, "ab"},
		{"64", repeat(64, "x"), string(make64('x'))},
		{"65", repeat(65, "x"), string(make64('x'))},
		{"one behind 64 empty ones", append(repeat(64, ""), []byte("y")), "y"},
		{"64 behind 64 empty ones", append(repeat(64, ""), repeat(70, "z")...), string(make64('z'))},
	}
	tl := startLoop(t, poller.LoopConfig{})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, peer := tl.connect(nil)
			tl.do(func() {
				n, err := c.SendVectors(test.buffers)
				if n != len(test.want) || err != nil {
					t.Errorf("SendVectors: %d, %v; want %d", n, err, len(test.want))
				}
				c.CloseWrite()
			})
			if got := readAll(t, peer); string(got) != test.want {
				t.Errorf("the peer got %q", got)
			}
		})
	}
}

func make64(b byte) []byte {
	p := make([]byte, 64)
	for i := range p {
		p[i] = b
	}
	return p
}

func TestUnsent(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	c, peer := tl.connect(nil)
	var unsent poller.Unsent
	tl.do(func() {
		if err := unsent.Flush(&c.Conn); err != nil || unsent.Len() != 0 {
			t.Errorf("Flush of nothing: %v, %d bytes wait", err, unsent.Len())
		}
		if err := unsent.Send(&c.Conn, nil); err != nil || unsent.Len() != 0 {
			t.Errorf("Send of nothing: %v, %d bytes wait", err, unsent.Len())
		}
		if err := unsent.Send(&c.Conn, patternOf(100)); err != nil || unsent.Len() != 0 {
			t.Errorf("Send with room: %v, %d bytes wait", err, unsent.Len())
		}
		// What waits is a copy: the caller may reuse its buffer.
		p := make([]byte, 8<<20)
		pattern(p, 100)
		if err := unsent.Send(&c.Conn, p); err != nil || unsent.Len() == 0 {
			t.Errorf("Send without room: %v, %d bytes wait", err, unsent.Len())
		}
		clear(p)
		c.writable = func() {
			if err := unsent.Flush(&c.Conn); err != nil {
				c.Close(err)
			}
		}
	})
	if i := differs(readFull(t, peer, 100+8<<20), 0); i >= 0 {
		t.Errorf("byte %d is wrong", i)
	}
	resetPeer(t, peer)
	await(t, c.closed, "Closed")
	tl.do(func() {
		if err := unsent.Send(&c.Conn, []byte("x")); err == nil {
			t.Error("Send on a closed connection succeeds")
		}
		unsent.Release()
		unsent.Release()
		if unsent.Len() != 0 {
			t.Errorf("%d bytes wait after Release", unsent.Len())
		}
	})
}

// A reset tells a sender that its peer is gone.
func TestSendAfterReset(t *testing.T) {
	tl := startLoop(t, poller.LoopConfig{})
	c, peer := tl.connect(nil)
	tl.do(c.PauseReading)
	resetPeer(t, peer)
	errs := make(chan error, 1)
	tl.do(func() {
		deadline := time.Now().Add(patience)
		for time.Now().Before(deadline) {
			if _, err := c.Send([]byte("x")); err != nil {
				errs <- err
				c.Close(err)
				return
			}
		}
	})
	err := await(t, errs, "an error of Send")
	if got := await(t, c.closed, "Closed"); got != err {
		t.Errorf("Closed(%v), want %v", got, err)
	}
}
