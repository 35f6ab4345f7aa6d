package gateway

import (
	"sync/atomic"

	"fleetcast/codec/publish"
)

// eventOverhead is what an event costs beyond its name and data, in bytes: the
// structure, the frame's own text and its places in mailboxes. It also bounds
// the number of events under way.
const eventOverhead = 256

// credits is the process-wide budget, in bytes, of events that are sequenced
// but not yet served by every shard. Publishers take from it before they
// publish and wait without it, so mailboxes stay bounded although posting to
// them never fails. All methods may be called from any goroutine.
type credits struct {
	budget  atomic.Int64
	share   atomic.Int64 // of one account
	free    atomic.Int64
	waiting atomic.Bool
	wake    func() // wakes the loops that may have paused publishers
}

func newCredits(budget, share int64, wake func()) *credits {
	c := &credits{wake: wake}
	c.resize(budget, share)
	return c
}

// resize changes the budget and what one account may use of it. Events that are
// under way keep what they have taken. One goroutine at a time may call it.
func (c *credits) resize(budget, share int64) {
	c.share.Store(share)
	c.give(budget - c.budget.Swap(budget))
}

// eventCost is the price of one event.
func eventCost(channel, key, data []byte) int64 {
	return int64(eventOverhead + len(channel) + len(key) + len(data))
}

// requestCost is the price of an event for each channel of a request.
func requestCost(r *publish.Request) (cost int64) {
	for _, name := range r.Channels {
		cost += eventCost(name, r.Key, r.Data)
	}
	return cost
}

// take takes n bytes if any are free. It may overdraw by one request: so a
// request that is larger than the rest, or the budget, gets its turn too.
func (c *credits) take(n int64) bool {
	for {
		free := c.free.Load()
		if free <= 0 {
			return false
		}
		if c.free.CompareAndSwap(free, free-n) {
			return true
		}
	}
}

// give returns n bytes.
func (c *credits) give(n int64) {
	free := c.free.Add(n)
	if free >= c.resumeAt() && c.waiting.Load() && c.waiting.Swap(false) {
		c.wake()
	}
}

// await tells whether paused publishers must go on waiting, and then sees to it
// that their loops are woken when they need not. Either the giver sees that
// someone waits, or it gave early enough to be seen here.
func (c *credits) await() bool {
	c.waiting.Store(true)
	return !c.ready()
}

// ready tells whether paused publishers may go on.
func (c *credits) ready() bool { return c.free.Load() >= c.resumeAt() }

// resumeAt is well above empty, so that publishers do not pause and go on for
// every event.
func (c *credits) resumeAt() int64 { return c.budget.Load() / 2 }

// exhausted tells whether nothing can be taken now.
func (c *credits) exhausted() bool { return c.free.Load() <= 0 }

// inUse is what events under way have taken.
func (c *credits) inUse() int64 {
	return max(c.budget.Load()-c.free.Load(), 0) // resize changes one after the other
}
