package poller

import "github.com/valyala/bytebufferpool"

// maxPooled is the capacity in bytes of the largest buffer that is pooled.
const maxPooled = 64 << 10

// Unsent is the outbound path of a connection whose output is its own: what
// the kernel does not take at once waits here, in order, in a pooled buffer.
// It does not bound itself: its owner stops producing while Len is large. The
// zero value is empty and holds no buffer. (The gateway's sessions, whose
// output is shared between many, keep references instead.)
type Unsent struct {
	buffer *bytebufferpool.ByteBuffer
	sent   int // bytes of buffer that the kernel took
}

// Len is the number of bytes that wait.
func (u *Unsent) Len() int {
	if u.buffer == nil {
		return 0
	}
	return len(u.buffer.B) - u.sent
}

// Send sends p on c, or what the kernel does not take of it later: p is copied
// as far as it has to wait. The owner calls Flush when c is Writable.
func (u *Unsent) Send(c *Conn, p []byte) error {
	if u.buffer == nil {
		n, err := c.Send(p)
		if err != nil || n == len(p) {
			return err
		}
		p = p[n:]
		u.buffer = bytebufferpool.Get()
		c.WantWrite(true)
	}
	u.buffer.B = append(u.buffer.B, p...)
	return nil
}

// Flush sends what waits, as far as the kernel takes it.
func (u *Unsent) Flush(c *Conn) error {
	if u.buffer == nil {
		return nil
	}
	n, err := c.Send(u.buffer.B[u.sent:])
	if err != nil {
		return err
	}
	u.sent += n
	switch {
	case u.Len() == 0:
		u.Release()
		c.WantWrite(false)
	case u.sent > len(u.buffer.B)/2:
		// Moving less than was sent keeps the copying linear in the output.
		u.buffer.B = u.buffer.B[:copy(u.buffer.B, u.buffer.B[u.sent:])]
		u.sent = 0
	}
	return nil
}

// Release drops what waits and gives the buffer back, for a connection that
// ends.
func (u *Unsent) Release() {
	if u.buffer != nil {
		// A large buffer would end up under a few bytes for long.
		if cap(u.buffer.B) <= maxPooled {
			bytebufferpool.Put(u.buffer)
		}
		*u = Unsent{}
	}
}
