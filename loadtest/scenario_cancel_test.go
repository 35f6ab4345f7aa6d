package loadtest_test

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"fleetcast/loadtest"
)

// cancellable is a run of any scenario.
type cancellable func(context.Context, loadtest.Common) (*loadtest.Result, error)

// of makes one of a scenario's function and its configuration.
func of[C any](run func(context.Context, C) (*loadtest.Result, error), config func(loadtest.Common) C) cancellable {
	return func(ctx context.Context, common loadtest.Common) (*loadtest.Result, error) {
		return run(ctx, config(common))
	}
}

// Long runs of every scenario.
var (
	longConnect = of(loadtest.RunConnect, func(c loadtest.Common) loadtest.Connect {
		return loadtest.Connect{Common: c, Clients: 10, Hold: time.Minute}
	})
	slowConnect = of(loadtest.RunConnect, func(c loadtest.Common) loadtest.Connect {
		return loadtest.Connect{Common: c, Clients: 10, Rate: 0.1}
	})
	longFanout = of(loadtest.RunFanout, func(c loadtest.Common) loadtest.Fanout {
		return loadtest.Fanout{Common: c, Clients: 10, Traffic: loadtest.Traffic{Rate: 100}, Duration: time.Minute}
	})
	windowFanout = of(loadtest.RunFanout, func(c loadtest.Common) loadtest.Fanout {
		return loadtest.Fanout{Common: c, Clients: 10, Traffic: loadtest.Traffic{Events: loadtest.MaxEvents}}
	})
	longEcho = of(loadtest.RunEcho, func(c loadtest.Common) loadtest.Echo {
		return loadtest.Echo{Common: c, Clients: 10, Messages: 100_000}
	})
	rateEcho = of(loadtest.RunEcho, func(c loadtest.Common) loadtest.Echo {
		return loadtest.Echo{Common: c, Clients: 10, Rate: 100, Duration: time.Minute}
	})
	longChurn = of(loadtest.RunChurn, func(c loadtest.Common) loadtest.Churn {
		return loadtest.Churn{Common: c, Clients: 10, Churners: 10, Churn: 50, Duration: time.Minute}
	})
	longStorm = of(loadtest.RunStorm, func(c loadtest.Common) loadtest.Storm {
		return loadtest.Storm{Common: c, Clients: 10, Calm: time.Minute}
	})
	longReturn = of(loadtest.RunStorm, func(c loadtest.Common) loadtest.Storm {
		return loadtest.Storm{Common: c, Clients: 10, Calm: time.Millisecond, Jitter: time.Hour}
	})
	longSlow = of(loadtest.RunSlow, func(c loadtest.Common) loadtest.Slow {
		return loadtest.Slow{Common: c, Clients: 10, Duration: time.Minute}
	})
	longFairness = of(loadtest.RunFairness, func(c loadtest.Common) loadtest.Fairness {
		return loadtest.Fairness{Common: c, Clients: 10, Duration: time.Minute}
	})
	longFlood = of(loadtest.RunFairness, func(c loadtest.Common) loadtest.Fairness {
		return loadtest.Fairness{Common: c, Clients: 10, Duration: 400 * time.Millisecond}
	})
	longIntake = of(loadtest.RunIntake, func(c loadtest.Common) loadtest.Intake {
		return loadtest.Intake{Common: c, Events: loadtest.MaxIntake}
	})
)

// A run whose context ends does so itself, soon, with a result of what there was, and
// leaves nothing behind: no goroutine, no process.
func TestCancel(t *testing.T) {
	before := runtime.NumGoroutine()
	gateway := func(t *testing.T) loadtest.Common { return startGateway(t, nil) }
	members := func(t *testing.T) loadtest.Common {
		c := startGateway(t, nil)
		command, pids := memberCommand(t)
		c.Member, c.Processes = command, 3
		t.Cleanup(func() { noneLeft(t, readPIDs(t, pids)) })
		return c
	}
	cases := map[string]struct {
		server func(*testing.T) loadtest.Common
		run    cancellable
		phase  string // in which the context ends
	}{
		"connecting":        {gateway, slowConnect, "connect"},
		"nobody answers":    {startMute, longConnect, "connect"},
		"connect":           {gateway, longConnect, "hold"},
		"fanout":            {gateway, longFanout, "events"},
		"fanout, window":    {gateway, windowFanout, "events"},
		"fanout, processes": {members, longFanout, "events"},
		"echo":              {startEcho, longEcho, "events"},
		"echo, rate":        {startEcho, rateEcho, "events"},
		"churn":             {gateway, longChurn, "events"},
		"churn, processes":  {members, longChurn, "events"},
		"storm":             {gateway, longStorm, "before"},
		"storm, away":       {gateway, longReturn, "storm"},
		"slow":              {gateway, longSlow, "baseline"},
		"fairness":          {gateway, longFairness, "alone"},
		"fairness, flooded": {gateway, longFlood, "flooded"},
		"intake":            {gateway, longIntake, "events"},
	}
	t.Run("scenarios", func(t *testing.T) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				cancelIn(t, c.server(t), c.run, c.phase)
			})
		}
	})
	awaitGoroutines(t, before)
}

// cancelIn cancels a run when it has come to a phase.
func cancelIn(t *testing.T, common loadtest.Common, run cancellable, phase string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cancelled := make(chan time.Time, 1)
	common.Observe = func(s loadtest.Sample) {
		if s.Phase == phase && ctx.Err() == nil {
			cancel()
			cancelled <- time.Now()
		}
	}
	r, err := run(ctx, common)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(r.Incomplete, "interrupted in phase ") {
		t.Errorf("incomplete: %q", r.Incomplete)
	}
	if err := r.Fault(); err != nil {
		t.Errorf("fault: %v, notes %q", err, r.Detail.Notes)
	}
	select {
	case at := <-cancelled:
		if took := time.Since(at); took > 20*time.Second {
			t.Errorf("the run went on for %v", took)
		}
	default:
		t.Error("it never came to the phase")
	}
}

// startMute listens and never answers.
func startMute(t *testing.T) loadtest.Common {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return loadtest.Common{URL: "ws://" + l.Addr().String() + "/ws", PID: loadtest.NoProcess}
}

// awaitGoroutines waits until there are no more goroutines than there were.
func awaitGoroutines(t *testing.T, before int) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			stacks := make([]byte, 64<<10)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
