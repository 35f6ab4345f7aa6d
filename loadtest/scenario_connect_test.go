package loadtest_test

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"fleetcast/loadtest"
)

func TestConnect(t *testing.T) {
	t.Parallel()
	const clients, hold = 30, 100 * time.Millisecond
	cases := map[string]struct {
		rate  float64
		least float64 // seconds to connect
	}{
		"at once": {0, 0},
		// The last two thirds begin 0, 10, ... 190 ms after the first has settled, and
		// so does the first third before.
		"rate": {100, 0.09 + 0.19},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := scenario(t, loadtest.RunConnect, loadtest.Connect{
				Common: startGateway(t, nil), Clients: clients, Channels: 7, Rate: c.rate, Hold: hold,
			})
			faultless(t, r, []string{"connect", "hold", "leave", "end"}, nil)
			if r.Clients != clients || r.Detail.Connected != clients || r.Events != 0 || r.Delivered != 0 {
				t.Errorf("%d clients, %d connected, %d events, %d delivered", r.Clients, r.Detail.Connected, r.Events, r.Delivered)
			}
			if took := figure(t, r, "seconds_to_connect"); took < c.least {
				t.Errorf("connecting took %v s, want %v at least", took, c.least)
			}
			if took := figure(t, r, "seconds_to_leave"); took <= 0 {
				t.Errorf("leaving took %v s", took)
			}
			checkHold(t, r, clients, hold)
		})
	}
}

// checkHold checks that all clients are there while they hold, and none after.
func checkHold(t *testing.T, r *loadtest.Result, clients int, hold time.Duration) {
	t.Helper()
	var from, to float64
	for _, s := range r.Timeline {
		switch {
		case s.Phase == "connect":
			from = s.At
		case s.Phase == "hold":
			to = s.At
			if s.Clients != clients {
				t.Errorf("not all hold: %+v", s)
			}
		}
	}
	if to-from < hold.Seconds() {
		t.Errorf("they hold from %v to %v s, want %v", from, to, hold)
	}
	if last := r.Timeline[len(r.Timeline)-1]; last.Clients != 0 {
		t.Errorf("after leaving there is %+v", last)
	}
}

// Clients connect from the addresses they are told, in turn.
func TestSources(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := make(map[string]int)
	s := startFaulty(t, &faultyServer{fault: faithful, connected: func(conn net.Conn) {
		mu.Lock()
		defer mu.Unlock()
		seen[conn.RemoteAddr().(*net.TCPAddr).IP.String()]++
	}})
	c := common(s)
	c.Sources = []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")}
	r := scenario(t, loadtest.RunFanout, loadtest.Fanout{Common: c, Clients: 9, Traffic: loadtest.Traffic{Events: 10}})
	check(t, r, counts{clients: 9, delivered: 90})
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 2 || seen["127.0.0.2"] != 5 || seen["127.0.0.3"] != 4 {
		t.Errorf("clients come from %v", seen)
	}
}
