package loadtest_test

import (
	"strings"
	"testing"

	"fleetcast/loadtest"
)

func TestIntake(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"ndjson", "resp"} {
		for name, connections := range map[string]int{"one": 1, "several": 3} {
			t.Run(via+", "+name, func(t *testing.T) {
				t.Parallel()
				const events = 20_000
				common := startGateway(t, nil)
				common.Via, common.Stall = via, hung // a busy machine is no reason to give up
				r := scenario(t, loadtest.RunIntake, loadtest.Intake{Common: common, Events: events, Connections: connections})
				faultless(t, r, []string{"events"}, nil)
				if r.Events != events || published(r) != events || r.Clients != 0 || r.Delivered != 0 {
					t.Errorf("%d events, %d in the timeline, %d clients, %d delivered", r.Events, published(r), r.Clients, r.Delivered)
				}
				if r.Seconds <= 0 || r.EventsPerSecond <= 0 || r.Server.CPUPerEvent == nil || *r.Server.CPUPerEvent <= 0 {
					t.Errorf("%v s, %v events/s, server %+v", r.Seconds, r.EventsPerSecond, r.Server)
				}
			})
		}
	}
}

// What the port refuses is counted; that it hangs up ends the run.
func TestIntakeFaults(t *testing.T) {
	t.Parallel()
	intake := func(t *testing.T, s *faultyServer) *loadtest.Result {
		startFaulty(t, s)
		c := common(s)
		c.Via = "resp"
		return scenario(t, loadtest.RunIntake, loadtest.Intake{Common: c, Events: 203})
	}
	refused := intake(t, &faultyServer{fault: faithful, refuses: 50})
	if refused.Events != 203 || refused.Detail.Rejected != 4 || refused.Detail.Ended != "" || refused.Fault() == nil {
		t.Errorf("%d events, %+v", refused.Events, refused.Detail)
	}
	noted(t, refused, "rate_limited")

	cut := intake(t, &faultyServer{fault: faithful, hangUp: 50})
	if !strings.HasPrefix(cut.Detail.Ended, "publishing: ") || cut.Fault() == nil {
		t.Errorf("%+v", cut.Detail)
	}
}
