package loadtest_test

import (
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
				Common: startGateway(t, nil), Traffic: loadtest.Traffic{Rate: 200},
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
			if fleetGot, most := r.Delivered-witnessed, (r.Events-witnessed/witnesses)*fleet; fleetGot <= 0 || fleetGot > most {
				t.Errorf("the fleet got %d, want at most %d", fleetGot, most)
			}
			if h := r.Phases[2].Handshake; !ordered(h) {
				t.Errorf("handshakes of the storm %v", h)
			}
		})
	}
}
