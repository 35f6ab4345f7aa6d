package loadtest_test

import (
	"strings"
	"testing"
	"time"

	"fleetcast/gateway"
	"fleetcast/loadtest"
)

// viaRESP has the publisher speak RESP.
func viaRESP(f *loadtest.Fanout) { f.Via = "resp" }

// What the port refuses is counted, said, and not lost; the rest arrives in order.
func TestDoorRefusals(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"ndjson", "resp"} {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			some := run(t, &faultyServer{fault: faithful, refuses: 50}, func(f *loadtest.Fanout) { f.Via = via; neverStalled(f) })
			check(t, some, counts{clients: 10, delivered: 2030 - 40})
			if some.Detail.Rejected != 4 || some.Events != 203 {
				t.Errorf("%d rejected of %d", some.Detail.Rejected, some.Events)
			}
			noted(t, some, "rejected: event 49: expected the server to take it; got the answer")
			noted(t, some, "rate_limited")
		})
	}
}

func TestGatewayRefuses(t *testing.T) {
	t.Parallel()
	common := startGateway(t, func(g *gateway.Config) { g.MaxEvent = 100 })
	common.Stall = 200 * time.Millisecond
	r := scenario(t, loadtest.RunFanout, loadtest.Fanout{
		Common: common, Clients: 3, Traffic: loadtest.Traffic{Events: 100, Window: 4, Payload: 101},
	})
	// Those refused are not waited for.
	check(t, r, counts{clients: 3})
	if r.Detail.Rejected != 100 || r.Events != 100 || r.Detail.Ended != "" {
		t.Errorf("%d rejected of %d events, ended %q", r.Detail.Rejected, r.Events, r.Detail.Ended)
	}
	noted(t, r, "rejected: ")
}

// A door that the server closes ends the run; what went through is counted.
func TestDoorHangsUp(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		raw    bool
		change func(*loadtest.Fanout)
	}{"ndjson": {false, nil}, "resp": {false, viaRESP}, "socket": {true, nil}}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, &faultyServer{fault: faithful, raw: c.raw, hangUp: 50}, c.change)
			// Some more may have gone out before the end was noticed.
			want := counts{clients: 10, delivered: 500}
			if r.Detail.NotTaken != r.Events-50 || r.Detail.Taken != 50 {
				t.Errorf("of %d events %d were taken and %d not", r.Events, r.Detail.Taken, r.Detail.NotTaken)
			}
			if got := countsOf(r); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if !strings.HasPrefix(r.Detail.Ended, "publishing: ") || r.Fault() == nil || r.Events < 50 || r.Events > 50+8 {
				t.Errorf("%d events, ended %q", r.Events, r.Detail.Ended)
			}
		})
	}
}
