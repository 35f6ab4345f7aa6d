package limits

import (
	"cmp"
	"sync/atomic"
	"time"

	"fleetcast/gateway/mem"
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

// weight is larger for peers that are ended first.
func (u Unfinished) weight(now time.Duration) int64 {
	return int64(u.Bytes) * int64((now-u.Since)/time.Millisecond+1)
}

// Part is what one of several loops holds of an InputMemory.
type Part[T any] struct {
	Memory *InputMemory
	Loops  int
	Held   int64                           // by this loop
	Each   func(offer func(T, Unfinished)) // has its peers offered
}

// Relieve ends the loop's peers with the heaviest input, while all loops together hold too
// much and this one has its part of that; busy tells that it is still too much. Its caller
// has asked the memory whether it is over the limit.
func (p Part[T]) Relieve(now time.Duration, end func(T)) (busy bool) {
	if p.Held*int64(p.Loops) < p.Memory.Held.Load() {
		return true // others have more
	}
	type weighed struct {
		who    T
		weight int64
	}
	heaviest := mem.NewBest(EndsPerTurn, func(a, b weighed) int { return cmp.Compare(b.weight, a.weight) })
	p.Each(func(who T, held Unfinished) {
		if held.Bytes > 0 {
			heaviest.Offer(weighed{who, held.weight(now)})
		}
	})
	for _, each := range heaviest.Sorted() {
		if !p.Memory.Over() {
			return false
		}
		end(each.who)
	}
	return p.Memory.Over()
}
