package poller

import (
	"iter"
	"time"
)

// Deadlines is a queue of things that are due a fixed time after they were
// added: one duration for all makes it a plain first-in first-out queue, so
// thousands of connections cost no timer. It belongs to one loop; its owner
// asks it on every tick. What is no longer wanted is not removed but found out
// to be stale when due.
type Deadlines[T any] struct {
	after time.Duration
	queue []deadline[T]
	head  int
}

type deadline[T any] struct {
	added time.Duration
	what  T
}

// NewDeadlines returns an empty queue whose entries are due after the given
// time.
func NewDeadlines[T any](after time.Duration) *Deadlines[T] {
	return &Deadlines[T]{after: after}
}

// Add puts what at the end of the queue. now is the loop's time.
func (d *Deadlines[T]) Add(what T, now time.Duration) {
	d.queue = append(d.queue, deadline[T]{now, what})
}

// IsDue tells whether Due has an entry to return.
func (d *Deadlines[T]) IsDue(now time.Duration) bool {
	return d.head < len(d.queue) && now-d.queue[d.head].added >= d.after
}

// Due removes and returns the oldest entry if its time has come, with the time
// at which it was added.
func (d *Deadlines[T]) Due(now time.Duration) (what T, added time.Duration, ok bool) {
	if !d.IsDue(now) {
		return what, 0, false
	}
	entry := d.queue[d.head]
	d.queue[d.head] = deadline[T]{}
	d.head++
	d.compact()
	return entry.what, entry.added, true
}

// Expired removes the entries whose time has come, and yields each with the time at which
// it was added.
func (d *Deadlines[T]) Expired(now time.Duration) iter.Seq2[T, time.Duration] {
	return func(yield func(T, time.Duration) bool) {
		for what, added, ok := d.Due(now); ok && yield(what, added); what, added, ok = d.Due(now) {
		}
	}
}

// Clear removes all entries. It is for an owner without connections, which needs none
// of them any more.
func (d *Deadlines[T]) Clear() {
	if len(d.queue) > 0 {
		d.queue, d.head = nil, 0
	}
}

// Len returns the number of entries not yet taken.
func (d *Deadlines[T]) Len() int { return len(d.queue) - d.head }

// compact gives the room of due entries back once they are at least half the
// queue, so each entry is moved a bounded number of times.
func (d *Deadlines[T]) compact() {
	if d.head*2 < len(d.queue) {
		return
	}
	n := copy(d.queue, d.queue[d.head:])
	clear(d.queue[n:])
	d.queue, d.head = d.queue[:n], 0
}
