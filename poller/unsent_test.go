package poller_test

import (
	"testing"

	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"

	"fleetcast/poller"
)

// givenBuffers makes buffers and counts what is given back. What is given back
// is overwritten, as its next user would.
type givenBuffers struct {
	freed map[*bytebufferpool.ByteBuffer]int
}

func (g *givenBuffers) free(b *bytebufferpool.ByteBuffer) {
	g.freed[b]++
	clear(b.B)
}

// make makes a buffer of n bytes of the pattern from the one numbered from.
func (g *givenBuffers) make(n, from int) *bytebufferpool.ByteBuffer {
	if g.freed == nil {
		g.freed = make(map[*bytebufferpool.ByteBuffer]int)
	}
	b := &bytebufferpool.ByteBuffer{B: make([]byte, n)}
	pattern(b.B, from)
	g.freed[b] = 0
	return b
}

// once tells whether each buffer was given back, and no more than once.
func (g *givenBuffers) once() bool {
	for _, times := range g.freed {
		if times != 1 {
			return false
		}
	}
	return true
}

// byGiving gives buffers of many sizes, among them copies, each time there is
// room.
func byGiving(t *testing.T) sender {
	var unsent poller.Unsent
	var buffers givenBuffers
	given, turn := 0, 0
	return func(c *testConn, data []byte) (bool, error) {
		if err := unsent.Flush(&c.Conn); err != nil {
			return false, err
		}
		for given < len(data) && unsent.Len() < 300_000 {
			n := min([]int{100_003, 1, 70_001, 20_011, 300_007}[turn%5], len(data)-given)
			var err error
			if turn%5 == 3 {
				err = unsent.Send(&c.Conn, data[given:given+n])
			} else {
				const skipped = 10 // as of a buffer whose beginning was sent before
				err = unsent.Give(&c.Conn, buffers.make(n+skipped, given-skipped), skipped, buffers.free)
			}
			if err != nil {
				return false, err
			}
			given += n
			turn++
		}
		all := given == len(data) && unsent.Len() == 0
		if all && !buffers.once() {
			t.Error("not every buffer was given back once")
		}
		return all, nil
	}
}

// A buffer is given back as soon as it is not needed: when the kernel took it,
// when little of it is left, or when it is dropped.
func TestUnsentGivesBuffersBack(t *testing.T) {
	const large, little = 1 << 20, 64 << 10
	var unsent poller.Unsent
	var buffers givenBuffers
	one, two, few, three := buffers.make(100, 0), buffers.make(large, 100), buffers.make(little, 100+large), buffers.make(large, 0)

	tl := startLoop(t, poller.LoopConfig{})
	c, peer := tl.connect(func(_ *testConn, fd int) {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 16<<10) // so much of two leaves at a time
	})
	if err := peer.SetReadBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	left := 0 // of two when it was given back
	c.writable = func() {
		if err := unsent.Flush(&c.Conn); err != nil {
			c.Close(err)
		}
		if left == 0 && buffers.freed[two] > 0 {
			left = unsent.Len() - little - large
		}
	}
	give := func(name string, b *bytebufferpool.ByteBuffer, freed int) {
		if err := unsent.Give(&c.Conn, b, 0, buffers.free); err != nil || buffers.freed[b] != freed {
			t.Errorf("%s: given back %d times, want %d; error %v", name, buffers.freed[b], freed, err)
		}
	}
	tl.do(func() {
		give("one that the kernel takes", one, 1)
		give("a large one", two, 0)
		give("one that may as well be copied", few, 1)
		give("a large one behind it", three, 0)
	})
	if i := differs(readFull(t, peer, 100+large+little), 0); i >= 0 {
		t.Errorf("byte %d is wrong", i)
	}
	tl.do(func() {
		if left <= 0 || left > little {
			t.Errorf("a large buffer was given back when %d bytes of it were left", left)
		}
		if buffers.freed[three] != 0 || unsent.Len() == 0 {
			t.Errorf("the last was given back %d times, %d bytes wait", buffers.freed[three], unsent.Len())
		}
		unsent.Release()
		if unsent.Len() != 0 || !buffers.once() {
			t.Errorf("%d bytes wait after Release, given back: %v", unsent.Len(), buffers.freed)
		}
	})
}
