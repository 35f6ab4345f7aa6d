package loadtest

import (
	"context"
	"time"
)

// pollInterval is how often it is asked for what nobody tells.
const pollInterval = 10 * time.Millisecond

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
		if inFlight == 0 || time.Since(since) > r.config.Stall {
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
