package limits

import (
	"sync/atomic"
)

// EventOverhead is what an event costs beyond its name and data, in bytes: the
// structure, the frame's own text and its places in mailboxes. It also bounds
// the number of events under way.
const EventOverhead = 256

// Credits is the process-wide budget, in bytes, of events that are sequenced
// but not yet served by every shard. Publishers take from it before they
// publish and wait without it, so mailboxes stay bounded although posting to
// them never fails. All methods may be called from any goroutine.
type Credits struct {
	Budget  atomic.Int64
	share   atomic.Int64 // of one account
	free    atomic.Int64
	waiting atomic.Bool
	wake    func() // wakes the loops that may have paused publishers
}

// NewCredits makes a budget in bytes, of which one account may use a share. wake is
// called when paused publishers may continue.
func NewCredits(budget, share int64, wake func()) *Credits {
	c := &Credits{wake: wake}
	c.Resize(budget, share)
	return c
}

// Resize changes the budget and what one account may use of it. Events that are
// under way keep what they have taken. One goroutine at a time may call it.
func (c *Credits) Resize(budget, share int64) {
	c.share.Store(share)
	c.give(budget - c.Budget.Swap(budget))
}

// EventCost is the price of one event.
func EventCost(channel, key, data []byte) int64 {
	return int64(EventOverhead + len(channel) + len(key) + len(data))
}

// Take takes n bytes if any are free. It may overdraw by one request: so a
// request that is larger than the rest, or the budget, gets its turn too.
func (c *Credits) Take(n int64) bool {
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
func (c *Credits) give(n int64) {
	free := c.free.Add(n)
	if free >= c.resumeAt() && c.waiting.Load() && c.waiting.Swap(false) {
		c.wake()
	}
}

// await returns whether paused publishers must still wait. If they must, their loops
// will be woken when there is enough credit. Either the giver sees that someone waits,
// or it gave early enough to be seen here.
func (c *Credits) await() bool {
	c.waiting.Store(true)
	return !c.ready()
}

// ready tells whether paused publishers may continue.
func (c *Credits) ready() bool { return c.free.Load() >= c.resumeAt() }

// resumeAt is well above empty, so that publishers do not pause and continue for every
// event.
func (c *Credits) resumeAt() int64 { return c.Budget.Load() / 2 }

// Exhausted tells whether nothing can be taken now.
func (c *Credits) Exhausted() bool { return c.free.Load() <= 0 }

// InUse is what events under way have taken.
func (c *Credits) InUse() int64 {
	return max(c.Budget.Load()-c.free.Load(), 0) // resize changes one after the other
}

// NewAccount opens an account for a connection of the loop that st belongs to.
func (c *Credits) NewAccount(st *Starved, of Maker) *Account {
	return &Account{Credits: c, Starved: st, Maker: of}
}
