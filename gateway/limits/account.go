package limits

import (
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"fleetcast/codec/command"
	"fleetcast/gateway/stats"
	"fleetcast/poller"
)

// Maker is the kind of peer that made a stream, by publishing or subscribing to it
// first. A stream that clients have made becomes a publisher's when a publisher uses
// it.
type Maker uint8

const (
	ByPublisher Maker = iota
	ByClient
	Makers
)

// Account holds the credits of one publisher, or one client that publishes. Its share
// is far below the process-wide budget. So a publisher that floods does not use up what
// the others need, and its events do not grow old in queues.
//
// Only the loop of its connection takes credits. Any goroutine may give them back.
type Account struct {
	Credits *Credits
	InUse   atomic.Int64
	waiting atomic.Bool
	Starved *Starved // of the connection's loop
	Maker   Maker    // of the streams that it is the first to publish to

	// Owned by the loop that takes credits: when the next event is due, and by which
	// rate.
	due time.Duration
	by  Bucket
	// Sent counts what was published with this account.
	Sent stats.Sent
}

// Wait takes n events if the rate allows them, or returns after how long it will allow
// them. With a rate that is new to the account, the account starts again.
func (a *Account) Wait(rate Bucket, n int, now time.Duration) time.Duration {
	if a.by != rate {
		a.by, a.due = rate, 0
	}
	return rate.take(&a.due, n, now)
}

// Take takes n bytes if neither the account nor the budget is used up. Either
// may be overdrawn by one request.
func (a *Account) Take(n int64) bool {
	if a.InUse.Load() >= a.Credits.share.Load() || !a.Credits.Take(n) {
		return false
	}
	a.InUse.Add(n)
	return true
}

// Admit takes n bytes for as many events, unless a rate forbids these for now,
// which the refusal says; ok is false without credit too. Then nothing is taken.
func (a *Account) Admit(rate *EventRate, events int, n int64, now time.Duration) (refusal *command.Error, ok bool) {
	due := a.due
	if wait := a.Wait(rate.Bucket, events, now); wait > 0 {
		return rate.Refuse(wait), false
	}
	if !a.Take(n) {
		a.due = due
		return nil, false
	}
	return nil, true
}

// RateLeft is how many events the rate that was taken from last allows one after the
// other at this moment; limited tells whether there is one.
func (a *Account) RateLeft(now time.Duration) (left int, limited bool) {
	return a.by.left(a.due, now), a.by.Interval > 0
}

// Give returns n bytes.
func (a *Account) Give(n int64) {
	a.InUse.Add(-n)
	if a.waiting.Load() && a.ready() && a.waiting.Swap(false) {
		a.Starved.Feed()
	}
	a.Credits.give(n)
}

// await returns whether the connection must still wait. If it must, its loop will be
// told when there is enough credit. Either the giver sees that someone waits, or it
// gave early enough to be seen here.
func (a *Account) await() bool {
	a.waiting.Store(true)
	if !a.ready() {
		return true
	}
	a.waiting.Store(false) // it waits for the budget, if at all
	return a.Credits.await()
}

// ready tells whether the account itself has enough credit to continue.
func (a *Account) ready() bool { return a.InUse.Load() <= a.Credits.share.Load()/2 }

// Starved are the connections of one loop that wait for credit.
type Starved struct {
	Loop    *poller.Loop
	Samples *stats.Samples // of the loop
	Queue   []starvation
	waited  time.Duration // by those that went on, each on its own
	fed     atomic.Bool   // set by givers: some of the queue may continue
}

// starver is a connection that waits.
type starver interface {
	Resume()
	Identity() []slog.Attr
}

// starvation is a connection that waits and the account that it waits for, which
// may outlive it.
type starvation struct {
	starver starver
	account *Account
	since   time.Duration // the loops' clock
}

// Add lets s wait for a, behind the connections that wait already.
func (st *Starved) Add(s starver, a *Account) {
	st.Queue = append(st.Queue, starvation{s, a, poller.Now()})
	if !a.await() {
		st.fed.Store(true) // credit came meanwhile
	}
}

// Feed has the loop look at its queue. Any goroutine may call it.
func (st *Starved) Feed() {
	st.fed.Store(true)
	st.Loop.Wake()
}

// Pending tells whether resume has something to do.
func (st *Starved) Pending() bool { return len(st.Queue) > 0 && st.fed.Load() }

// Resume continues with the connections that need not wait any more, in the order in
// which they began to wait. After one slice it leaves the rest for the next turn.
func (st *Starved) Resume() {
	if !st.Pending() {
		return
	}
	st.fed.Store(false)
	waiting := st.Queue
	st.Queue = nil
	end := poller.Now() + ResumeSlice
	for i, s := range waiting {
		if s.account.await() {
			st.Queue = append(st.Queue, s)
			continue
		}
		st.waited += poller.Now() - s.since
		st.sample(s)
		s.starver.Resume()
		if rest := waiting[i+1:]; len(rest) > 0 && poller.Now() > end {
			st.Queue = append(slices.Clone(rest), st.Queue...)
			st.fed.Store(true) // these were not looked at
			return
		}
	}
}

// WaitedBy is how long connections have waited in all until now, including those that
// still wait.
func (st *Starved) WaitedBy(now time.Duration) time.Duration {
	sum := st.waited
	for _, s := range st.Queue {
		sum += now - s.since
	}
	if len(st.Queue) > 0 {
		st.sample(st.Queue[0])
	}
	return sum
}

// sample keeps one connection that waits as a sample of all.
func (st *Starved) sample(s starvation) {
	if key := (stats.IncidentKey{Metric: stats.CreditWaits}); st.Samples.Wants(key) {
		st.Samples.Keep(key, s.starver.Identity()...)
	}
}
