package limits

import (
	"errors"
	"math"
	"sync/atomic"
	"time"

	"fleetcast/poller"
)

// Rate bounds how often something may happen. The zero value is no bound.
type Rate struct {
	PerSecond float64 // on average
	Burst     int     // how many may happen at once after a pause, at least 1
}

// Unlimited tells whether r is no bound.
func (r Rate) Unlimited() bool { return r.PerSecond == 0 }

// maxRate is the largest bound: the clock counts in nanoseconds.
const maxRate = 1e9

// Check is for the error of a [Config].
func (r Rate) Check() error {
	switch {
	case r == Rate{}:
		return nil
	case math.IsNaN(r.PerSecond) || r.PerSecond <= 0 || r.PerSecond > maxRate:
		return errors.New("must be more than 0 and at most 1,000,000,000 a second")
	case r.Burst < 1:
		return errors.New("must have a burst of at least 1")
	case float64(r.Burst)/r.PerSecond > math.MaxInt64/4/float64(time.Second):
		return errors.New("has a burst that takes longer than a lifetime to be allowed again")
	}
	return nil
}

// Bucket is a Rate in the form of the generic cell rate algorithm (ITU-T I.371, annex
// A). Each thing that is bounded keeps one number: the moment at which it would be due
// if all had come evenly spaced. This moment may be ahead of the clock by no more than
// the burst takes.
type Bucket struct {
	Interval  time.Duration // of one, on average; 0: no bound
	tolerance time.Duration // how far ahead of the clock one more may be taken
}

// NewBucket is the bucket of a rate.
func NewBucket(r Rate) Bucket {
	if r.Unlimited() {
		return Bucket{}
	}
	interval := time.Duration(float64(time.Second) / r.PerSecond)
	return Bucket{Interval: interval, tolerance: interval * time.Duration(r.Burst-1)}
}

// take takes n at once and returns 0, or takes none and returns after how long
// it may be tried again. What is more than a burst is allowed once the bucket is
// full, and paid for afterwards. due belongs to the caller, at first 0; now is
// the loops' clock.
func (b Bucket) take(due *time.Duration, n int, now time.Duration) (wait time.Duration) {
	next, wait := b.next(*due, n, now)
	if wait == 0 {
		*due = next
	}
	return wait
}

// left is how many could be taken one after the other at this moment.
func (b Bucket) left(due, now time.Duration) int {
	if b.Interval == 0 {
		return math.MaxInt
	}
	ahead := b.tolerance - max(due-now, 0)
	if ahead < 0 {
		return 0
	}
	return int(ahead/b.Interval) + 1
}

// TakeShared is take for a number that many loops share. The clock of a loop stands
// still during a turn, so another loop may have put the number ahead of it: before it
// refuses, TakeShared looks at the real time.
func (b Bucket) TakeShared(due *atomic.Int64, n int, now time.Duration) (wait time.Duration) {
	if wait = b.takeShared(due, n, now); wait > 0 {
		wait = b.takeShared(due, n, max(now, poller.Now()))
	}
	return wait
}

func (b Bucket) takeShared(due *atomic.Int64, n int, now time.Duration) (wait time.Duration) {
	if b.Interval == 0 {
		return 0
	}
	for {
		was := due.Load()
		next, wait := b.next(time.Duration(was), n, now)
		if wait > 0 || due.CompareAndSwap(was, int64(next)) {
			return wait
		}
	}
}

// GiveShared gives n back that were taken. That goes unnoticed once they would have
// been due.
func (b Bucket) GiveShared(due *atomic.Int64, n int) { due.Add(-int64(b.Interval) * int64(n)) }

// LeftShared is left for a number that many goroutines share.
func (b Bucket) LeftShared(due *atomic.Int64, now time.Duration) int {
	return b.left(time.Duration(due.Load()), now)
}

func (b Bucket) next(due time.Duration, n int, now time.Duration) (next, wait time.Duration) {
	if b.Interval == 0 {
		return due, 0
	}
	due = max(due, now)
	cost := b.Interval * time.Duration(n)
	ahead := max(b.tolerance+b.Interval-cost, 0)
	if due-now > ahead {
		return due, due - now - ahead
	}
	return due + cost, 0
}
