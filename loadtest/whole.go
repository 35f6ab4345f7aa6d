package loadtest

import (
	"context"
	"time"
)

// Recovery is what became of the clients that came back with the position that they had.
type Recovery struct {
	Recoveries  int64 `json:"recoveries"`   // times that a client came back and got an answer
	Whole       int64 `json:"whole"`        // of those, the ones after which it had, or was told of, all that it had missed
	Events      int64 `json:"events"`       // missed events that clients got
	Lost        int64 `json:"lost"`         // missed events that the server said it has lost; these are among the gaps
	Resets      int64 `json:"resets"`       // recoveries that the server has neither made nor said what is lost
	ResetEvents int64 `json:"reset_events"` // missed events of those, which are not lost
	Wrong       int64 `json:"wrong"`        // recoveries that are not what the server said: events are missing, or answers contradict themselves
	LostWrong   int64 `json:"lost_wrong"`   // losses in answers that are not what is missing
	// Time is from dialling until the client is whole. With a time over which clients come back
	// it begins when the dial was due.
	Time Percentiles `json:"time_ms"`
}

// recovers tells whether clients of the run come back with their positions.
func (p *plan) recovers() bool {
	for i := range p.Groups {
		if p.Groups[i].Recovers {
			return true
		}
	}
	return false
}

// describeRecovery fills in what became of them.
func (r *run) describeRecovery(d *Detail, total *tally) {
	if !r.plan.recovers() {
		return
	}
	recovered := &Recovery{
		Recoveries: total.Recoveries, Whole: total.Whole, Events: total.Recovered, Lost: total.RecoveryLost,
		Resets: total.Resets, ResetEvents: total.ResetEvents, Wrong: total.RecoveryWrong, LostWrong: total.LostWrong,
	}
	merged := newHistogram()
	for _, p := range r.samples.phases {
		merged.merge(p.all().Recovery)
	}
	recovered.Time = merged.percentiles()
	d.Recovery = recovered
	switch {
	case total.Recoveries == 0:
		r.warnings = append(r.warnings, "no client came back with a position: nothing was recovered")
	case total.RecoveryLost > 0:
		r.warnings = append(r.warnings, "the server said that it has lost events that clients had missed: it keeps less history than they needed")
	}
}

// awaitWhole waits until the clients of a group that have come back have all that they missed. It
// gives up after the limit, or if none has got a missed event for as long as events are waited for.
// whole is when the latest of them was whole, time of the clock; 0: none was.
func (r *run) awaitWhole(group int, limit time.Duration) (whole int64, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, limit)
	defer cancel()
	progress, since := int64(-1), time.Now()
	for {
		a, err := r.crew.do(ctx, order{What: orderWhole, Group: group})
		switch {
		case r.ctx.Err() != nil:
			return 0, context.Cause(r.ctx)
		case ctx.Err() != nil:
			return whole, nil
		case err != nil:
			return 0, err
		}
		whole = a.Last
		if a.Behind == 0 || time.Since(since) > r.config.Stall {
			return whole, nil
		}
		if a.Recovered != progress {
			progress, since = a.Recovered, time.Now()
		}
		if err := r.sleep(pollInterval); err != nil {
			return 0, err
		}
	}
}
