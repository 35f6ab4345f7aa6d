package limits

import (
	"cmp"
	"sync/atomic"
	"time"
)

// InputMemory counts the unfinished input that the process holds for one kind of peers,
// in bytes. Past its limit, the peers that have held the most for the longest are ended
// first. Any goroutine may call its methods.
type InputMemory struct {
	Limit     atomic.Int64
	Held      atomic.Int64
	relieving atomic.Bool // the limit was passed, and not enough has been freed since
}

// Add counts n bytes more; passed tells that the limit has just been passed.
func (m *InputMemory) Add(n int) (passed bool) {
	return m.Held.Add(int64(n)) > m.Limit.Load() && n > 0 && !m.relieving.Swap(true)
}

// Over tells whether peers must be ended. Once the limit is passed, they are ended
// until a sixteenth of it is free, so that not every message ends one.
func (m *InputMemory) Over() bool {
	if !m.relieving.Load() {
		return false
	}
	limit := m.Limit.Load()
	if m.Held.Load() <= limit-limit/16 {
		m.relieving.Store(false)
		return false
	}
	return true
}

// UnfinishedChecks is how many times an unfinished message or request is looked at
// within its timeout: it may last that part of it longer.
const UnfinishedChecks = 4

// Unfinished is what is held of one client's input.
type Unfinished struct {
	Bytes int
	Since time.Duration // when it began, or we began to read the client again
}

// Weight is larger for peers that are ended first.
func (u Unfinished) Weight(now time.Duration) int64 {
	return int64(u.Bytes) * int64((now-u.Since)/time.Millisecond+1)
}

// Weighed is a peer with the weight of its unfinished input.
type Weighed[T any] struct {
	Who    T
	Weight int64
}

// Compare orders by weight.
func (w Weighed[T]) Compare(other Weighed[T]) int { return cmp.Compare(w.Weight, other.Weight) }
