package loadtest_test

import (
	"sync"
	"testing"
	"time"

	"fleetcast/loadtest"
)

func TestStorm(t *testing.T) {
	t.Parallel()
	const witnesses, fleet = 5, 40
	for name, jitter := range map[string]time.Duration{"all at once": 0, "jitter": 300 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := scenario(t, loadtest.RunStorm, loadtest.Storm{
				Common: startGateway(t, nil), Traffic: loadtest.Traffic{Rate: 200}, FleetRate: 50,
				Clients: fleet, Witnesses: witnesses, Jitter: jitter, Calm: 300 * time.Millisecond,
			})
			faultless(t, r, []string{"connect", "before", "storm", "after", "end"}, []string{"before", "after", "storm"})
			if r.Clients != witnesses+fleet || r.Detail.Connected != witnesses+2*fleet || figure(t, r, "back") != fleet {
				t.Errorf("%d clients, %d connected, figures %+v", r.Clients, r.Detail.Connected, r.Detail.Figures)
			}
			if figure(t, r, "seconds_to_full_service") <= 0 {
				t.Errorf("figures %+v", r.Detail.Figures)
			}
			var witnessed int64
			for _, p := range r.Phases {
				witnessed += p.Delivered
			}
			if witnessed == 0 || witnessed%witnesses != 0 {
				t.Errorf("%d witnesses got %d events", witnesses, witnessed)
			}
			if ofFleet, ofWitnesses := r.Events-witnessed/witnesses, witnessed/witnesses; ofFleet*2 > ofWitnesses {
				t.Errorf("the fleet was sent %d events, the witnesses %d", ofFleet, ofWitnesses)
			}
			if fleetGot, most := r.Delivered-witnessed, (r.Events-witnessed/witnesses)*fleet; fleetGot <= 0 || fleetGot > most {
				t.Errorf("the fleet got %d, want at most %d", fleetGot, most)
			}
			if h := r.Phases[2].Handshake; !ordered(h) {
				t.Errorf("handshakes of the storm %v", h)
			}
		})
	}
}

// A fleet that the server turns away comes back when it may: that is no fault, and
// takes its time.
func TestStormTurnedAway(t *testing.T) {
	t.Parallel()
	const witnesses, fleet, after = 2, 10, time.Second
	var mu sync.Mutex
	var handshakes, turned int
	var first, next time.Time // the first was turned away, and came back at the earliest
	s := startFaulty(t, &faultyServer{fault: faithful, refusal: func() string {
		mu.Lock()
		defer mu.Unlock()
		handshakes++
		switch {
		case handshakes <= witnesses+fleet:
			return ""
		case turned < fleet:
			if turned++; turned == 1 {
				first = time.Now()
			}
			return "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 5\r\n\r\nfull\n"
		case next.IsZero():
			next = time.Now()
		}
		return ""
	}})
	r := scenario(t, loadtest.RunStorm, loadtest.Storm{
		Common: common(s), Traffic: loadtest.Traffic{Rate: 50}, Clients: fleet, Witnesses: witnesses, Calm: 200 * time.Millisecond,
	})
	check(t, r, counts{clients: witnesses + fleet, delivered: r.Delivered})
	d := &r.Detail
	if d.TurnedAway != fleet || d.Refused != 0 || figure(t, r, "back") != fleet || d.Ended != "" || len(d.Notes) > 0 {
		t.Errorf("%+v", d)
	}
	if got := figure(t, r, "seconds_to_full_service"); got < after.Seconds() {
		t.Errorf("back after %v s", got)
	}
	mu.Lock()
	defer mu.Unlock()
	if away := next.Sub(first); away < after {
		t.Errorf("back after %v, which is before %v", away, after)
	}
}

// Whoever is never let in is missing in the end.
func TestTurnedAwayForGood(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		answer     string
		turnedAway bool
		note       string
	}{
		"come back some day": {"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\n\r\n", true, "the server answered 429: come back in 1h0m0s"},
		"no time is named":   {"HTTP/1.1 503 Service Unavailable\r\n\r\n", false, "503 Service Unavailable"},
		"never":              {"HTTP/1.1 403 Forbidden\r\nRetry-After: 1\r\n\r\n", false, "403 Forbidden"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startFaulty(t, &faultyServer{fault: faithful, refusal: func() string { return c.answer }})
			config := loadtest.Connect{Common: common(s), Clients: 3}
			if !c.turnedAway {
				_, err := loadtest.RunConnect(t.Context(), config)
				expectError(t, name, err, c.note)
				return
			}
			r := scenario(t, loadtest.RunConnect, config)
			if d := r.Detail; r.Clients != 0 || d.TurnedAway != 3 || d.Refused != 3 || r.Fault() == nil {
				t.Errorf("%d clients, %+v", r.Clients, d)
			}
			noted(t, r, c.note)
		})
	}
}
