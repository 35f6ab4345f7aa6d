package loadtest_test

import (
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"fleetcast/loadtest"
)

func TestFairness(t *testing.T) {
	t.Parallel()
	const clients, watchers = 20, 4
	cases := map[string]struct {
		visitors   float64
		visits     bool
		publishers int
	}{
		"nobody visits":      {1e-3, false, 1},
		"visitors":           {30, true, 1},
		"several publishers": {30, true, 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := scenario(t, loadtest.RunFairness, loadtest.Fairness{
				Common: startGateway(t, nil), Clients: clients, Watchers: watchers,
				Visitors: c.visitors, Rate: 100, Pings: 100, Window: 8, Publishers: c.publishers, Duration: time.Second,
			})
			faultless(t, r, []string{"connect", "alone", "flooded", "end"}, []string{"alone", "flooded"})
			visitorCount := max(10, int(2*c.visitors))
			all := clients + watchers + visitorCount
			if r.Clients != all || (r.Detail.Connected > int64(all)) != c.visits {
				t.Errorf("%d clients, %d connected", r.Clients, r.Detail.Connected)
			}
			// Nobody has lost anything. How many of the events were whose is not
			// told; there were some on each channel.
			least := r.Events * min(watchers, int64(clients/c.publishers))
			if got, most := r.Delivered, r.Events*int64(all); got <= least || got > most {
				t.Errorf("delivered %d of %d events to %d", got, r.Events, all)
			}
			if d := r.Detail; d.Pings == 0 || d.Unanswered != 0 || !ordered(r.Pong) {
				t.Errorf("%d pings, %d unanswered, %v", d.Pings, d.Unanswered, r.Pong)
			}
			if figure(t, r, "flood_deliveries_per_second") <= 0 || figure(t, r, "flood_events_per_second") <= 0 {
				t.Errorf("figures %+v", r.Detail.Figures)
			}
		})
	}
}

// A server that answers no ping is found out.
func TestFairnessWithoutPongs(t *testing.T) {
	t.Parallel()
	for name, mute := range map[string]bool{"answered": false, "mute": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			common := common(startFaulty(t, &faultyServer{fault: faithful, mute: mute}))
			common.Stall = 2 * time.Second
			r := scenario(t, loadtest.RunFairness, loadtest.Fairness{
				Common:  common,
				Clients: 5, Watchers: 3, Visitors: 1e-3, Pings: 50, Duration: 300 * time.Millisecond,
			})
			d, want := &r.Detail, int64(0)
			if mute {
				want = d.Pings
				noted(t, r, "unanswered: small client")
			}
			if d.Pings == 0 || d.Unanswered != want || ordered(r.Pong) == mute || ordered(r.Phases[0].Pong) == mute {
				t.Errorf("%d pings, %d unanswered, want %d; %v, alone %v", d.Pings, d.Unanswered, want, r.Pong, r.Phases[0].Pong)
			}
			if fault := r.Fault(); (fault != nil) != mute {
				t.Errorf("fault %v", fault)
			}
		})
	}
}

// Each of the publishers has a connection and a channel of its own.
func TestFairnessPublishers(t *testing.T) {
	t.Parallel()
	const publishers, small = 3, 1
	var mu sync.Mutex
	by := make(map[string]net.Conn)
	s := startFaulty(t, &faultyServer{fault: faithful, published: func(channel string, conn net.Conn) {
		mu.Lock()
		defer mu.Unlock()
		if before := by[channel]; before != nil && before != conn {
			t.Errorf("channel %s is published to by two connections", channel)
		}
		by[channel] = conn
	}})
	common := common(s)
	common.Stall = 10 * time.Second
	r := scenario(t, loadtest.RunFairness, loadtest.Fairness{
		Common: common, Clients: 7, Watchers: 2, Visitors: 1e-3, Publishers: publishers, Duration: 200 * time.Millisecond,
	})
	if err := r.Fault(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	var connections []net.Conn
	for _, conn := range by {
		if !slices.Contains(connections, conn) {
			connections = append(connections, conn)
		}
	}
	if len(by) != publishers+small || len(connections) != publishers+small {
		t.Errorf("%d channels by %d connections, want %d", len(by), len(connections), publishers+small)
	}
}
