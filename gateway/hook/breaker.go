package hook

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"

	"fleetcast/gateway/stats"
)

// probes is how many calls must be answered, one after the other or at once, until the
// endpoint counts as answering again.
const probes = 3

// buckets is the number of parts in which the breaker's window goes by.
const buckets = 10

// errDown and errIgnored are what the breaker is told of calls that fail.
var (
	errDown    = errors.New("the endpoint fails")
	errIgnored = errors.New("the caller has gone")
)

// newBreaker makes the circuit breaker. It counts failures of the endpoint as a whole: no
// connection, no answer in time, a status from 500 up, 429. It looks at their share and not
// for some in a row, so that a client whose requests make the endpoint fail must outnumber all
// others to shut them out.
func (h *Hook) newBreaker() *gobreaker.TwoStepCircuitBreaker[any] {
	b := h.options.Breaker
	return gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		MaxRequests:  probes,
		Interval:     b.Window,
		BucketPeriod: b.Window / buckets,
		Timeout:      b.Rest,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			ended := uint64(c.TotalFailures) + uint64(c.TotalSuccesses)
			return b.Percent > 0 && ended >= uint64(b.AtLeast) && uint64(c.TotalFailures)*100 >= ended*uint64(b.Percent)
		},
		IsExcluded:    func(err error) bool { return errors.Is(err, errIgnored) },
		OnStateChange: h.breakerMoved,
	})
}

// tell tells the breaker what became of a call.
func (h *Hook) tell(done func(error), failed *failure) {
	switch {
	case failed == nil:
		done(nil)
	case failed.down:
		h.mu.Lock()
		h.lastFail = failed.err
		h.mu.Unlock()
		done(errDown)
	case failed.reason == ReasonCancelled, failed.reason == ReasonTimeout:
		done(errIgnored)
	default: // it has answered, though not well
		done(nil)
	}
}

// breakerMoved is told of each change by the breaker, which holds its lock meanwhile. The
// log has one line when the endpoint begins to fail, and one when that is over.
func (h *Hook) breakerMoved(_ string, from, to gobreaker.State) {
	attrs := []slog.Attr{slog.String("hook", h.options.Name), slog.String("url", h.url)}
	switch {
	case to == gobreaker.StateOpen:
		h.openUntil.Store(time.Now().Add(h.options.Breaker.Rest).UnixNano())
		if from != gobreaker.StateClosed { // a probe has failed
			return
		}
		h.mu.Lock()
		h.counters.Opened++
		h.failsSince = time.Now()
		attrs = append(attrs, slog.String("error", stats.Clip(h.lastFail.Error())))
		h.mu.Unlock()
		h.options.Logger.LogAttrs(context.Background(), slog.LevelWarn, "a hook fails and is not asked for now; clients are refused meanwhile", attrs...)
	case to == gobreaker.StateClosed:
		h.mu.Lock()
		attrs = append(attrs, slog.Duration("failed_for", time.Since(h.failsSince)))
		h.mu.Unlock()
		h.options.Logger.LogAttrs(context.Background(), slog.LevelInfo, "a hook answers again", attrs...)
	}
}

// openFailure is the failure of a call that the breaker does not let pass. The time to
// come back stays within bounds if somebody sets the clock.
func (h *Hook) openFailure() *failure {
	left := min(time.Until(time.Unix(0, h.openUntil.Load())), h.options.Breaker.Rest)
	return &failure{reason: ReasonOpen, retryAfter: max(left, time.Second), err: gobreaker.ErrOpenState}
}
