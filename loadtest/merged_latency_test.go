package loadtest

import (
	"os"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
)

// What the processes of a run have measured adds up: one latency a delivery, in
// each group.
func TestLatencyOfEachDelivery(t *testing.T) {
	t.Parallel()
	g, err := gateway.New(gateway.DefaultConfig(100), testrun.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { g.Run(); close(stopped) }()
	t.Cleanup(func() { g.Close(); <-stopped })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := Fanout{
		Common: Common{
			URL: "ws://" + g.ClientAddrs()[0].String() + gateway.Path, Publish: g.PublishAddrs()[0].String(),
			PID: NoProcess, Settle: time.Millisecond, Processes: 3, Loops: 2,
			Member: []string{"env", "LOADTEST_MEMBER=1", self},
		},
		Traffic: Traffic{Channels: 2, Rate: 400},
		Clients: 10, Duration: 600 * time.Millisecond, // longer than a sample
	}.complete()
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRun(t.Context(), "fanout", &f.Common, plan{
		Flows: []flowPlan{f.flow()}, Groups: []groupPlan{{Clients: f.Clients, Awaited: true}},
	}, []Traffic{f.Traffic})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if err := r.fanout(f); err != nil {
		t.Fatal(err)
	}
	p, publisher := r.samples.phase(phaseEvents), r.publishing.publishers[0]
	const events, delivered = 240, 240 * 5
	if got := r.latency(p).counts.TotalCount(); got != delivered || r.samples.total().Delivered != delivered {
		t.Errorf("%d latencies of %d deliveries, want %d", got, r.samples.total().Delivered, delivered)
	}
	if first, last := publisher.first.counts.TotalCount(), publisher.last.counts.TotalCount(); first != events || last != events {
		t.Errorf("%d first and %d last latencies of %d events", first, last, events)
	}
	if got := r.samples.phases[0].times[0].Handshake.counts.TotalCount(); got != int64(f.Clients) {
		t.Errorf("%d handshakes of %d clients", got, f.Clients)
	}
}
