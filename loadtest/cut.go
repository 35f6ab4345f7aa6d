package loadtest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// finished makes the result of a run whose scenario has ended with err. A run that its
// caller has ended reports what it has. Any other error means that the run failed.
func (r *run) finished(o outcome, err error) (*Result, error) {
	if errors.Is(err, errUnreachable) {
		return nil, r.unreachable()
	}
	if err != nil {
		if r.ctx.Err() == nil || r.life.Err() != nil {
			return nil, err
		}
		why := context.Cause(r.ctx)
		if f := (failure{}); errors.As(why, &f) {
			r.ended = errors.Join(r.ended, f.error)
		}
		if err := r.cutShort(why); err != nil {
			return nil, err
		}
	}
	return r.result(o), nil
}

// cutShort ends everything and gathers what has been counted. It does not wait for what
// is under way.
func (r *run) cutShort(why error) error {
	if len(r.samples.phases) == 0 {
		r.samples.begin(phaseConnect)
	}
	r.incomplete = fmt.Sprintf("%s in phase %s after %v", causeText(why), r.samples.current(), time.Since(r.samples.start).Round(time.Millisecond))
	for _, which := range []mark{markBase, markConnected} {
		if len(r.plan.Groups) > 0 && r.samples.marks[which].at.IsZero() {
			if err := r.samples.mark(which); err != nil {
				return err
			}
		}
	}
	if r.publishing != nil {
		r.publishing.call(func() {
			for _, p := range r.publishing.publishers {
				p.cut()
			}
		})
		if err := r.settle(true); err != nil {
			return err
		}
	}
	return r.count(true)
}

// causeText says in words why a context has ended.
func causeText(why error) string {
	switch {
	case errors.Is(why, context.DeadlineExceeded):
		return "the time was over"
	case errors.Is(why, context.Canceled):
		return "interrupted"
	}
	return why.Error()
}

// serverGone tells whether the run ended because the server did.
func (r *run) serverGone() bool {
	return r.meter.gone != nil || r.ended != nil && r.board.live() == 0
}
