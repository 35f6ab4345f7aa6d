package loadtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A run ends soon if its server lets no client in, or lets none in any more. Otherwise
// clients that come back after a failure would try for minutes, and scenarios at a rate
// would publish to no client until their time is over.

const (
	// watchInterval is how often the run looks at its clients.
	watchInterval = 50 * time.Millisecond
	// enoughFailures is the number of failed attempts to connect, without one that
	// succeeded, after which a server counts as out of reach. In smaller fleets it is
	// one for each client.
	enoughFailures = 32
	// goneAfter is how long a run may have no connected client if no client comes back,
	// and how long a scenario continues after its publisher has failed. If clients come
	// back, a run may have no connected client for the run's stall.
	goneAfter = time.Second
	// stallsOfSilence is for how many stalls a server may admit none of the clients
	// that try, and deliver nothing.
	stallsOfSilence = 3
)

var (
	errUnreachable = errors.New("no client can connect")
	errServerGone  = errors.New("the server ended all connections")
)

// attempts are what the clients of all processes have tried so far.
type attempts struct{ connected, failed int64 }

// hopeless tells whether nobody can connect, after the attempts of that many clients.
func (a attempts) hopeless(clients int) bool {
	return a.connected == 0 && a.failed >= min(int64(clients), enoughFailures)
}

// failure is why a scenario was ended that its caller has not ended.
type failure struct{ error }

// Unwrap returns the reason.
func (f failure) Unwrap() error { return f.error }

// watch is what the goroutine that watches a run remembers.
type watch struct {
	run      *run
	patience time.Duration // how long nobody may be connected
	live     time.Time     // when somebody was connected
	failing  time.Time     // since when a publisher has failed; zero: none has
	progress int64         // connections and deliveries so far
	failed   int64         // attempts that had failed when that last grew
	grown    time.Time     // when that was
}

// watchReach ends the scenario if it cannot continue. It runs in a goroutine of its own
// and returns when the scenario has ended.
func (r *run) watchReach(end context.CancelCauseFunc) {
	now := time.Now()
	w := watch{run: r, patience: goneAfter, live: now, grown: now}
	for _, g := range r.plan.Groups {
		if g.Returns {
			w.patience = max(w.patience, r.config.Stall)
		}
	}
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-ticker.C:
			if err := w.look(time.Now()); err != nil {
				end(failure{err})
			}
		}
	}
}

// look says why the scenario cannot go on; nil if it can.
func (w *watch) look(now time.Time) error {
	r := w.run
	a := r.board.attempts()
	if a.hopeless(r.plan.clients()) {
		return errUnreachable
	}
	if !r.dependent.Load() {
		w.live, w.grown, w.failed = now, now, a.failed
		return nil
	}
	live := r.board.live()
	if live > 0 {
		w.live = now
	}
	if now.Sub(w.live) > w.patience {
		return errServerGone
	}
	progress := a.connected
	for flow := range r.board.schedules {
		progress += r.board.delivered(flow)
	}
	if progress != w.progress {
		w.progress, w.grown, w.failed = progress, now, a.failed
	}
	if silent := stallsOfSilence * r.config.Stall; live > 0 && a.failed > w.failed && now.Sub(w.grown) > silent {
		return fmt.Errorf("the server has let no client in and delivered nothing for %v", silent)
	}
	return w.publishing(now)
}

// publishing is why a publisher has ended whom the scenario does not wait for yet.
func (w *watch) publishing(now time.Time) error {
	if w.run.publishing == nil || w.run.finishing.Load() {
		return nil
	}
	err := w.run.publishing.failed.Load()
	if err == nil {
		return nil
	}
	if w.failing.IsZero() {
		w.failing = now
	}
	if now.Sub(w.failing) < goneAfter {
		return nil // that the server is gone says more
	}
	return *err
}

// unreachable is the error of a run whose clients could not connect: what was
// expected, what came, and what to try.
func (r *run) unreachable() error {
	if err := r.count(true); err != nil {
		return err
	}
	r.samples.mu.Lock()
	total := r.samples.total()
	r.samples.mu.Unlock()
	err := fmt.Errorf("%w to %s (%d attempts failed)", errUnreachable, r.config.URL, total.Refused)
	for _, e := range total.Examples {
		if e.Kind != kindRefused {
			continue
		}
		err = fmt.Errorf("%w: %s", err, e)
		if hint := r.hint(e.Got); hint != "" {
			err = fmt.Errorf("%w\n%s", err, hint)
		}
		break
	}
	return err
}

// hint says what to try where clients got that instead of a subscription; it may be
// empty.
func (r *run) hint(got string) string {
	to := &r.plan.Target
	path, _, _ := strings.Cut(to.Path, "?")
	switch {
	case strings.Contains(got, "handshake") && got != errHandshake.Error() && path != r.profile.Path():
		return fmt.Sprintf("Servers of profile %s are usually at ws://%s%s.", r.profile.Name(), to.Host, r.profile.Path())
	case got == errPeerClosed.Error() || got == errOverdue.Error() || strings.HasSuffix(got, unix.ECONNRESET.Error()):
		return fmt.Sprintf("Perhaps the server does not speak profile %s: --profile names what it speaks.", r.profile.Name())
	}
	return ""
}
