package poller

import (
	"sync"

	"github.com/valyala/bytebufferpool"
)

// chunkSize is the capacity in bytes of the buffers that copies wait in.
const chunkSize = 64 << 10

// Unsent is the outbound path of a connection that shares its output with no other.
// Bytes that the kernel does not take at once wait here, in order, in pooled buffers.
// It has no bound: its owner must stop producing while Len is large. The zero value is
// empty and holds no buffer. (The gateway's sessions, whose output is shared between
// many, keep references instead.)
type Unsent struct{ queue *unsentQueue }

// unsentQueue is what an Unsent holds while something waits.
type unsentQueue struct {
	buffers []unsentBuffer // in order; none is empty
	length  int            // bytes that wait in all of them
}

// unsentBuffer is a buffer that waits, a copy or one that was given.
type unsentBuffer struct {
	buffer *bytebufferpool.ByteBuffer
	sent   int                              // bytes of it that the kernel took
	free   func(*bytebufferpool.ByteBuffer) // of one that was given; nil: it is a copy
}

var unsentQueues = sync.Pool{New: func() any { return new(unsentQueue) }}

// copies is a pool of this package's own, so that none of its buffers is larger than
// chunkSize. A larger one would be kept for long by a few bytes.
var copies bytebufferpool.Pool

// Len is the number of bytes that wait.
func (u *Unsent) Len() int {
	if u.queue == nil {
		return 0
	}
	return u.queue.length
}

// Send sends p on c. The part that the kernel does not take is copied and waits. The
// owner calls Flush when c is Writable.
func (u *Unsent) Send(c *Conn, p []byte) error {
	if u.queue == nil {
		n, err := c.Send(p)
		if err != nil || n == len(p) {
			return err
		}
		p = p[n:]
		u.begin(c)
	}
	u.queue.copy(p)
	return nil
}

// Give is Send for the bytes of buffer, beginning at from. If more than a few bytes
// must wait, the buffer itself waits instead of a copy. The caller must not touch it.
// free is called with the buffer when it is not needed any more.
func (u *Unsent) Give(c *Conn, buffer *bytebufferpool.ByteBuffer, from int, free func(*bytebufferpool.ByteBuffer)) error {
	if u.queue == nil {
		n, err := c.Send(buffer.B[from:])
		if from += n; err != nil || from == len(buffer.B) {
			free(buffer)
			return err
		}
		u.begin(c)
	}
	u.queue.give(unsentBuffer{buffer, from, free})
	return nil
}

func (u *Unsent) begin(c *Conn) {
	u.queue = unsentQueues.Get().(*unsentQueue)
	c.WantWrite(true)
}

// Flush sends what waits, as far as the kernel takes it.
func (u *Unsent) Flush(c *Conn) error {
	if u.queue == nil {
		return nil
	}
	if err := u.queue.send(c); err != nil {
		return err
	}
	if u.queue.length == 0 {
		u.Release()
		c.WantWrite(false)
	}
	return nil
}

// Release drops what waits and gives the buffers back, for a connection that
// ends.
func (u *Unsent) Release() {
	if q := u.queue; q != nil {
		u.queue = nil
		q.drop(len(q.buffers))
		q.length = 0
		unsentQueues.Put(q)
	}
}

// send sends until the kernel is full or nothing waits any more.
func (q *unsentQueue) send(c *Conn) error {
	for i := range q.buffers {
		b := &q.buffers[i]
		n, err := c.Send(b.rest())
		if err != nil {
			return err // the connection is unusable, so what is left does not matter
		}
		b.sent += n
		q.length -= n
		if len(b.rest()) > 0 {
			b.shrink()
			q.drop(i)
			return nil
		}
	}
	q.drop(len(q.buffers))
	return nil
}

// copy puts a copy of p at the end.
func (q *unsentQueue) copy(p []byte) {
	q.length += len(p)
	for len(p) > 0 {
		n := len(q.buffers)
		if n == 0 || q.buffers[n-1].free != nil || len(q.buffers[n-1].buffer.B) == chunkSize {
			q.buffers = append(q.buffers, unsentBuffer{buffer: copies.Get()})
			n++
		}
		last := q.buffers[n-1].buffer
		part := min(len(p), chunkSize-len(last.B))
		if need := len(last.B) + part; need > cap(last.B) {
			last.B = append(make([]byte, 0, min(2*need, chunkSize)), last.B...)
		}
		last.B = append(last.B, p[:part]...)
		p = p[part:]
	}
}

// give puts a buffer at the end.
func (q *unsentQueue) give(b unsentBuffer) {
	if len(b.rest()) <= chunkSize {
		q.copy(b.rest())
		b.release()
		return
	}
	q.length += len(b.rest())
	q.buffers = append(q.buffers, b)
}

// drop gives the first n buffers back.
func (q *unsentQueue) drop(n int) {
	for _, b := range q.buffers[:n] {
		b.release()
	}
	left := copy(q.buffers, q.buffers[n:])
	clear(q.buffers[left:])
	q.buffers = q.buffers[:left]
}

func (b *unsentBuffer) rest() []byte { return b.buffer.B[b.sent:] }

func (b *unsentBuffer) release() {
	if b.free != nil {
		b.free(b.buffer)
	} else {
		copies.Put(b.buffer)
	}
}

// shrink replaces a large buffer of which little is left by a copy, so that a peer that
// stops reading does not keep the large one.
func (b *unsentBuffer) shrink() {
	if b.free == nil || len(b.rest()) > chunkSize {
		return
	}
	kept := copies.Get()
	kept.B = append(kept.B, b.rest()...)
	b.release()
	*b = unsentBuffer{buffer: kept}
}
