package loadtest_test

import (
	"testing"
	"time"

	"fleetcast/loadtest"
)

func TestFanoutOfGateway(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change            func(*loadtest.Fanout)
		events, delivered int64
	}{
		"window": {func(f *loadtest.Fanout) { f.Events, f.Window = 200, 16 }, 200, 200 * 12},
		"rate":   {func(f *loadtest.Fanout) { f.Rate, f.Duration = 400, 500*time.Millisecond }, 200, 200 * 12},
		"resp":   {func(f *loadtest.Fanout) { f.Via, f.Events, f.Window = "resp", 200, 16 }, 200, 200 * 12},
		"resp, channels": {func(f *loadtest.Fanout) { f.Via, f.Events, f.Channels, f.Loops = "resp", 201, 5, 2 },
			201, 41*3 + 40*3 + 40*2*3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := loadtest.Fanout{Common: startGateway(t, nil), Clients: 12}
			c.change(&f)
			r := scenario(t, loadtest.RunFanout, f)
			faultless(t, r, []string{"connect", "events", "end"}, nil)
			if r.Clients != 12 || r.Events != c.events || r.Delivered != c.delivered {
				t.Errorf("%d clients, %d events, %d delivered, want %+v", r.Clients, r.Events, r.Delivered, c)
			}
			d := &r.Detail
			if !ordered(r.Latency) || !ordered(d.FirstLatency) || !ordered(d.LastLatency) || d.Connected != 12 {
				t.Errorf("latency %v, first %v, last %v, %d connections", r.Latency, d.FirstLatency, d.LastLatency, d.Connected)
			}
			if last := r.Timeline[len(r.Timeline)-1]; last.Planned != c.events || last.Events != c.events {
				t.Errorf("the timeline ends with %+v", last)
			}
		})
	}
}
