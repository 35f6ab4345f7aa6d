package loadtest_test

import (
	"testing"
	"time"

	"fleetcast/gateway"
	"fleetcast/loadtest"
)

const slowClients, slowStalling = 6, 2

// lagging is a run in which more is published in each part, 640 kB, than kernel and
// backlogs hold for those who stall, while those who read are never more than a few
// events behind, however busy the machine is.
func lagging(common loadtest.Common) loadtest.Slow {
	return loadtest.Slow{
		Common: common, Clients: slowClients, Share: 0.3, ReceiveBuffer: 64 << 10,
		Traffic: loadtest.Traffic{Window: 4, Events: 40, Payload: 16_000},
	}
}

func TestSlow(t *testing.T) {
	t.Parallel()
	r := scenario(t, loadtest.RunSlow, loadtest.Slow{
		Common: startGateway(t, nil), Traffic: loadtest.Traffic{Rate: 100, Payload: loadtest.MinPayload},
		Clients: slowClients, Share: 0.3, Duration: 300 * time.Millisecond,
	})
	checkStalled(t, r, 0)
}

// A server that cuts off those who lag has told them so.
func TestSlowCutOff(t *testing.T) {
	t.Parallel()
	// For want of memory, which ends those with the largest backlogs: on a busy machine
	// those who read may be late too.
	s := lagging(startGateway(t, func(g *gateway.Config) {
		g.SlowAfter, g.BacklogMemory, g.BacklogBytes = 5*time.Minute, 512<<10, 512<<10
	}))
	s.Payload = loadtest.MaxPayload
	r := scenario(t, loadtest.RunSlow, s)
	checkStalled(t, r, slowStalling)
}

// checkStalled checks a run in which cutOff clients, all who stall or none, were
// cut off, and nobody was told of gaps.
func checkStalled(t *testing.T, r *loadtest.Result, cutOff float64) {
	t.Helper()
	faultless(t, r, []string{"connect", "baseline", "stalled", "resumed", "end"}, []string{"baseline", "stalled"})
	if got := figure(t, r, "cut_off"); got != cutOff {
		t.Errorf("%v cut off, want %v", got, cutOff)
	}
	if got := figure(t, r, "cut_untold"); got > cutOff {
		t.Errorf("%v were cut off without a close frame", got)
	}
	const healthy = slowClients - slowStalling
	lagged := int64(figure(t, r, "slow_delivered"))
	if got := r.Delivered - lagged; got != healthy*r.Events {
		t.Errorf("%d healthy clients got %d of %d events", healthy, got, r.Events)
	}
	if all := slowStalling * r.Events; lagged <= 0 || (lagged == all) != (cutOff == 0) {
		t.Errorf("those who stalled got %d of %d", lagged, all)
	}
}

// Those who stall get what is left for them, and are told of the rest: each event
// is one or the other.
func TestSlowPolicies(t *testing.T) {
	t.Parallel()
	const limit = 8
	cases := map[string]struct {
		policy policy
		change func(*loadtest.Slow)
		fault  string // the one that the run finds
	}{
		"drop oldest":      {policy{limit: limit}, nil, ""},
		"several stalls":   {policy{limit: limit}, func(s *loadtest.Slow) { s.Stalls = 3 }, ""},
		"several channels": {policy{limit: limit}, func(s *loadtest.Slow) { s.Channels, s.Events = 2, 80 }, ""},
		"conflate":         {policy{limit: limit, conflates: conflatesKeys}, nil, ""},
		"conflate by key":  {policy{limit: 1, conflates: conflatesKeys}, func(s *loadtest.Slow) { s.Keys, s.Window = 5, 1 }, ""},
		"conflate by key, several channels": {policy{limit: 1, conflates: conflatesKeys}, func(s *loadtest.Slow) {
			s.Channels, s.Keys, s.Window, s.Events = 2, 4, 1, 80
		}, ""},
		"conflate across keys":     {policy{limit: 1, conflates: conflatesChannel}, func(s *loadtest.Slow) { s.Keys, s.Window = 5, 1 }, "newest_dropped"},
		"drop the oldest of a key": {policy{limit: 2}, func(s *loadtest.Slow) { s.Keys, s.Window = 5, 1 }, "newest_dropped"},
		"say nothing":              {policy{limit: limit, silent: true}, nil, "lost"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := lagging(common(startFaulty(t, &faultyServer{fault: faithful, policy: &c.policy})))
			s.Stall = 5 * time.Second
			if c.change != nil {
				c.change(&s)
			}
			r := scenario(t, loadtest.RunSlow, s)
			// If the last events come when the client reads again, it misses none that
			// matters.
			for range 4 {
				if c.fault == "" || len(r.Faults()) > 0 {
					break
				}
				r = scenario(t, loadtest.RunSlow, s)
			}
			switch faults := r.Faults(); {
			case c.fault == "" && len(faults) > 0, c.fault != "" && (len(faults) != 1 || faults[0].Name != c.fault):
				t.Errorf("faults %+v, want %q; notes %q", faults, c.fault, r.Detail.Notes)
			}
			const healthy = slowClients - slowStalling
			perClient := r.Events / int64(max(s.Channels, 1))
			lagged, told := int64(figure(t, r, "slow_delivered")), int64(figure(t, r, "told"))
			if got := r.Delivered - lagged; got != healthy*perClient || figure(t, r, "healthy_told") != 0 {
				t.Errorf("those who read got %d of %d events each, and figures %+v", got, perClient, r.Detail.Figures)
			}
			if all := slowStalling * perClient; lagged+told+r.Lost != all || told+r.Lost == 0 || told != r.Gaps {
				t.Errorf("those who stalled got %d, were told of %d and lost %d of %d events", lagged, told, r.Lost, all)
			}
			if figure(t, r, "cut_off") != 0 || (r.Detail.GapMessages > 0) != (told > 0) {
				t.Errorf("%+v", r.Detail)
			}
		})
	}
}
