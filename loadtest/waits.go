package loadtest

import (
	"context"
	"fmt"
	"time"
)

// pollInterval is the time between two looks at what no signal tells.
const pollInterval = 10 * time.Millisecond

// overtime is how much longer than it should a run at a rate may take: the server has
// that long to take events that it did not take when they were due.
const overtime = 10 * time.Second

// doneWithin is done for a flow that has a time, if that is above 0. At a rate all
// events are due within that time, and events that the server has not taken some time
// later are given up. Without a rate, nothing more is published when the time is over.
func (r *run) doneWithin(flow int, limit time.Duration, atRate bool) error {
	if limit <= 0 {
		return r.done(flow)
	}
	wait := limit
	if atRate {
		wait += overtime + r.config.Stall
	}
	timer := time.AfterFunc(wait, func() { r.timeOver(flow, limit, atRate) })
	err := r.done(flow)
	if !timer.Stop() {
		r.publishing.call(func() { // the timer's letter was before this one
			if p := r.publishing.publishers[flow]; p.timeOver {
				r.incomplete = fmt.Sprintf("the time of %v was over after %d of %d events", limit, p.published(), p.plan.Events)
			}
		})
	}
	return err
}

// timeOver ends a flow.
func (r *run) timeOver(flow int, limit time.Duration, atRate bool) {
	r.publishing.call(func() {
		p := r.publishing.publishers[flow]
		if p.state != publisherRunning {
			return
		}
		p.timeOver = true
		if p.finish(); atRate {
			p.giveUp()
			p.enter(publisherDone, nil)
		}
	})
}

// publishMore lets a flow that is held publish so many more events, and waits
// until all who are awaited have them. It returns early if the flow ends.
func (r *run) publishMore(flow, events int) error {
	p := r.publishing.publishers[flow]
	r.publishing.call(func() { p.holdAt(p.published() + int64(events)) })
	for {
		var done bool
		r.publishing.call(func() { done = p.held() && p.inFlight == 0 || p.state == publisherDone })
		if done {
			return nil
		}
		if err := r.sleep(pollInterval); err != nil {
			return err
		}
	}
}

// arrive waits, after a flow has ended early, for what it has in flight: until
// that has arrived, or nothing more has for as long as events are waited for.
func (r *run) arrive(flow int) error {
	p := r.publishing.publishers[flow]
	delivered, since := int64(-1), time.Now()
	for {
		var inFlight int64
		r.publishing.call(func() { inFlight = p.inFlight })
		if now := r.board.delivered(flow); now != delivered {
			delivered, since = now, time.Now()
		}
		if inFlight == 0 || r.board.live() == 0 || time.Since(since) > r.config.Stall {
			return nil
		}
		if err := r.sleep(linger); err != nil {
			return err
		}
	}
}

// awaitAll waits until the clients of a group have all that is due to them. It
// gives up after the limit, or if nothing has come for as long as events are
// waited for.
func (r *run) awaitAll(group int, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(r.ctx, limit)
	defer cancel()
	last, since := tally{}, time.Now()
	for {
		a, err := r.crew.do(ctx, order{What: orderBehind, Group: group})
		switch {
		case r.ctx.Err() != nil:
			return context.Cause(r.ctx)
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		if a.Behind == 0 || time.Since(since) > r.config.Stall {
			return nil
		}
		if now := r.samples.tally(group); now.Delivered != last.Delivered || now.Told != last.Told || now.CutOff != last.CutOff {
			last, since = now, time.Now()
		}
		if err := r.sleep(pollInterval); err != nil {
			return err
		}
	}
}
