package gateway

import (
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"fleetcast/codec/command"
	"fleetcast/poller"
)

// account is what one publisher, or one client that publishes, has under way.
// Its share, far below the process-wide budget, keeps one that floods from
// using up what the others need, and its events from growing old in queues.
//
// The loop of its connection takes; any goroutine gives.
type account struct {
	credits *credits
	inUse   atomic.Int64
	waiting atomic.Bool
	starved *starved // of the connection's loop
	maker   maker    // of the streams that it is the first to publish to

	// Of who takes: when the next event is due, and the rate by which it is.
	due time.Duration
	by  bucket
	// sent is what was published with it.
	sent sent
}

// wait takes n events if the rate allows them, or returns after how long it may.
// Under a rate that is new to the account, it begins anew.
func (a *account) wait(rate bucket, n int, now time.Duration) time.Duration {
	if a.by != rate {
		a.by, a.due = rate, 0
	}
	return rate.take(&a.due, n, now)
}

// take takes n bytes if neither the account nor the budget is used up. Either
// may be overdrawn by one request.
func (a *account) take(n int64) bool {
	if a.inUse.Load() >= a.credits.share.Load() || !a.credits.take(n) {
		return false
	}
	a.inUse.Add(n)
	return true
}

// admit takes n bytes for as many events, unless a rate forbids these for now,
// which the refusal says; ok is false without credit too. Then nothing is taken.
func (a *account) admit(rate *eventRate, events int, n int64, now time.Duration) (refusal *command.Error, ok bool) {
	due := a.due
	if wait := a.wait(rate.bucket, events, now); wait > 0 {
		return rate.refuse(wait), false
	}
	if !a.take(n) {
		a.due = due
		return nil, false
	}
	return nil, true
}

// give returns n bytes.
func (a *account) give(n int64) {
	a.inUse.Add(-n)
	if a.waiting.Load() && a.ready() && a.waiting.Swap(false) {
		a.starved.feed()
	}
	a.credits.give(n)
}

// await tells whether the connection must go on waiting, and then sees to it
// that its loop is told when it need not. Either the giver sees that someone
// waits, or it gave early enough to be seen here.
func (a *account) await() bool {
	a.waiting.Store(true)
	if !a.ready() {
		return true
	}
	a.waiting.Store(false) // it waits for the budget, if at all
	return a.credits.await()
}

// ready tells whether the account itself has enough to go on.
func (a *account) ready() bool { return a.inUse.Load() <= a.credits.share.Load()/2 }

// starved are the connections of one loop that wait for credit.
type starved struct {
	loop    *poller.Loop
	samples *samples // of the loop
	queue   []starvation
	waited  time.Duration // by those that went on, each on its own
	fed     atomic.Bool   // set by givers: some of the queue may go on
}

// starver is a connection that waits.
type starver interface {
	resume()
	identity() []slog.Attr
}

// starvation is a connection that waits and the account that it waits for, which
// may outlive it.
type starvation struct {
	starver starver
	account *account
	since   time.Duration // the loops' clock
}

// add lets s wait for a, behind those that wait already.
func (st *starved) add(s starver, a *account) {
	st.queue = append(st.queue, starvation{s, a, poller.Now()})
	if !a.await() {
		st.fed.Store(true) // credit came meanwhile
	}
}

// feed has the loop look at its queue. Any goroutine may call it.
func (st *starved) feed() {
	st.fed.Store(true)
	st.loop.Wake()
}

// pending tells whether resume has something to do.
func (st *starved) pending() bool { return len(st.queue) > 0 && st.fed.Load() }

// resume lets those go on that need not wait, in the order in which they began
// to. After a while it leaves the rest for the next turn.
func (st *starved) resume() {
	if !st.pending() {
		return
	}
	st.fed.Store(false)
	waiting := st.queue
	st.queue = nil
	end := poller.Now() + resumeSlice
	for i, s := range waiting {
		if s.account.await() {
			st.queue = append(st.queue, s)
			continue
		}
		st.goesOn(s)
		if rest := waiting[i+1:]; len(rest) > 0 && poller.Now() > end {
			st.queue = append(slices.Clone(rest), st.queue...)
			st.fed.Store(true) // of them, nobody has looked
			return
		}
	}
}

// goesOn lets one go on, and counts how long it has waited.
func (st *starved) goesOn(s starvation) {
	st.waited += poller.Now() - s.since
	st.sample(s)
	s.starver.resume()
}

// waitedBy is for how long connections have waited until now, those that still
// wait included.
func (st *starved) waitedBy(now time.Duration) time.Duration {
	sum := st.waited
	for _, s := range st.queue {
		sum += now - s.since
	}
	if len(st.queue) > 0 {
		st.sample(st.queue[0])
	}
	return sum
}

// sample keeps one that waits as a sample of all.
func (st *starved) sample(s starvation) {
	if key := (incidentKey{metricCreditWaits, ""}); st.samples.wants(key) {
		st.samples.keep(key, s.starver.identity()...)
	}
}
