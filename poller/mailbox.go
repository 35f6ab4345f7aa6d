package poller

import "sync/atomic"

// segmentSize is the number of messages per segment of a mailbox: one
// allocation per segmentSize posts.
const segmentSize = 256

// Mailbox is a lock-free queue into a loop: any number of goroutines post, the
// loop's goroutine takes. Messages are taken in the order in which their posts
// claimed a place; posts made one after the other keep that order.
//
// Posting never waits and never fails, so the sender must be bounded by other
// means (the gateway's publishers hold credits). Post does not wake the loop:
// a sender posts all it has, then calls [Loop.Wake] once.
type Mailbox[M any] struct {
	tail atomic.Pointer[segment[M]]

	// Owned by the taking goroutine.
	head *segment[M]
	next int
}

// segment is a run of places. Segments are never reused, so a poster that
// holds an old one cannot mistake it for a new one; the collector frees them.
type segment[M any] struct {
	claimed atomic.Uint32 // places given out; runs past segmentSize when full
	next    atomic.Pointer[segment[M]]
	places  [segmentSize]place[M]
}

type place[M any] struct {
	full    atomic.Bool
	message M
}

// NewMailbox returns an empty mailbox.
func NewMailbox[M any]() *Mailbox[M] {
	first := new(segment[M])
	m := &Mailbox[M]{head: first}
	m.tail.Store(first)
	return m
}

// Post appends a message. Any goroutine may call it.
func (m *Mailbox[M]) Post(message M) {
	for {
		tail := m.tail.Load()
		if i := tail.claimed.Add(1) - 1; i < segmentSize {
			p := &tail.places[i]
			p.message = message
			p.full.Store(true)
			return
		}
		m.extend(tail)
	}
}

// extend moves the tail past a full segment; one of the posters that found it
// full adds the new one.
func (m *Mailbox[M]) extend(full *segment[M]) {
	next := full.next.Load()
	if next == nil {
		fresh := new(segment[M])
		if full.next.CompareAndSwap(nil, fresh) {
			next = fresh
		} else {
			next = full.next.Load()
		}
	}
	m.tail.CompareAndSwap(full, next)
}

// Take removes the oldest message. Only the loop's goroutine may call it.
func (m *Mailbox[M]) Take() (message M, ok bool) {
	if !m.advance() {
		return message, false
	}
	p := &m.head.places[m.next]
	message = p.message
	var zero M
	p.message = zero // the segment may live longer than its messages
	m.next++
	return message, true
}

// Empty tells whether there is nothing to take now. Only the loop's goroutine
// may call it.
func (m *Mailbox[M]) Empty() bool { return !m.advance() }

// advance goes to the segment of the next place, and returns whether that place is
// full.
func (m *Mailbox[M]) advance() bool {
	if m.next == segmentSize {
		next := m.head.next.Load()
		if next == nil {
			return false
		}
		m.head, m.next = next, 0
	}
	return m.head.places[m.next].full.Load()
}
