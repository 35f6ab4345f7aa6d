package loadtest_test

import (
	"testing"
	"time"

	"fleetcast/gateway"
	"fleetcast/loadtest"
)

// wholeAgain checks that every client that came back got all that it had missed.
func wholeAgain(t *testing.T, r *loadtest.Result) *loadtest.Recovery {
	t.Helper()
	d := r.Detail.Recovery
	if d == nil {
		t.Fatal("the result says nothing of recoveries")
	}
	if d.Recoveries == 0 || d.Whole != d.Recoveries || d.Lost+d.Resets+d.ResetEvents+d.Wrong+d.LostWrong > 0 || !ordered(d.Time) {
		t.Errorf("recovery %+v, warnings %q", *d, r.Detail.Warnings)
	}
	return d
}

func TestStormOfGatewayRecovers(t *testing.T) {
	t.Parallel()
	const witnesses, fleet, missed = 3, 30, 100
	cases := map[string]func(*testing.T, *loadtest.Storm){
		"one channel": func(*testing.T, *loadtest.Storm) {},
		"channels":    func(_ *testing.T, s *loadtest.Storm) { s.FleetChannels, s.Jitter = 7, 100*time.Millisecond },
		"compressed":  func(_ *testing.T, s *loadtest.Storm) { s.Deflate = 0.5 },
		// Events go on while clients come back.
		"live": func(_ *testing.T, s *loadtest.Storm) { s.FleetRate, s.Missed = 200, 60 },
		"processes": func(t *testing.T, s *loadtest.Storm) {
			s.Member, _ = memberCommand(t)
			s.Processes, s.Loops = 2, 2
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := loadtest.Storm{
				Common: startGateway(t, func(c *gateway.Config) { c.History.Events = 1000 }), Traffic: loadtest.Traffic{Rate: 50},
				Clients: fleet, Witnesses: witnesses, Calm: 200 * time.Millisecond, Recover: true, Missed: missed,
			}
			s.Stall = hung
			change(t, &s)
			r := scenario(t, loadtest.RunStorm, s)
			faultless(t, r, []string{"connect", "before", "away", "storm", "after", "end"}, []string{"before", "after", "storm"})
			d := wholeAgain(t, r)
			if d.Recoveries != fleet || d.Events < int64(fleet*s.Missed) || s.FleetRate == 0 && d.Events != int64(fleet*s.Missed) {
				t.Errorf("recovery %+v", *d)
			}
			if figure(t, r, "back") != fleet || figure(t, r, "seconds_to_whole") <= 0 || figure(t, r, "recoveries_per_second") <= 0 {
				t.Errorf("figures %+v", r.Detail.Figures)
			}
			if p := r.Phases[2]; !ordered(p.Recovery) || p.ServerSeconds == nil || *p.ServerSeconds <= 0 {
				t.Errorf("the storm %+v", p)
			}
		})
	}
}

// A gateway that keeps less than was missed says how much, and what it says is what is missing.
func TestStormOfGatewayTellsLoss(t *testing.T) {
	t.Parallel()
	const fleet, kept, missed = 10, 20, 50
	s := loadtest.Storm{
		Common:  startGateway(t, func(c *gateway.Config) { c.History.Events = kept }),
		Traffic: loadtest.Traffic{Rate: 50}, Clients: fleet, Calm: 200 * time.Millisecond, Recover: true, Missed: missed,
	}
	s.Stall = hung
	r := scenario(t, loadtest.RunStorm, s)
	check(t, r, counts{clients: fleet + 1, delivered: r.Delivered, gaps: fleet * (missed - kept)})
	want := recovered{whole: fleet, events: fleet * kept, lost: fleet * (missed - kept)}
	if got := recoveredOf(t, r); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestFanoutOfGatewayRecovers(t *testing.T) {
	t.Parallel()
	const missed = 2_000 // more than one turn of the gateway sends
	for name, deflate := range map[string]float64{"plain": 0, "compressed": 0.5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := loadtest.Fanout{
				Common:  startGateway(t, func(c *gateway.Config) { c.History.Events = 2 * missed }),
				Traffic: loadtest.Traffic{Rate: 200, Channels: 3}, Clients: 30, Duration: 1100 * time.Millisecond,
				Cuts: loadtest.Cuts{Recover: true, Rate: 20, Away: 50 * time.Millisecond, Missed: missed},
			}
			f.Stall, f.Deflate = hung, deflate
			r := scenario(t, loadtest.RunFanout, f)
			faultless(t, r, []string{"connect", "events", "recovery", "end"}, []string{"events", "recovery"})
			d := wholeAgain(t, r)
			if catchUps := int64(figure(t, r, "catch_ups")); catchUps < 1 || d.Events < catchUps*missed || d.Recoveries <= catchUps {
				t.Errorf("%d times, recovery %+v", catchUps, *d)
			}
		})
	}
}
