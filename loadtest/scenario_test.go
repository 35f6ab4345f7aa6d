package loadtest_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/loadtest"
)

// startGateway runs a gateway on ports of its own until the test ends, and
// returns how it is reached. change may adapt it.
func startGateway(t *testing.T, change func(*gateway.Config)) loadtest.Common {
	t.Helper()
	_, common := startSeenGateway(t, change)
	return common
}

// startSeenGateway is startGateway, and returns the gateway too, for its figures.
func startSeenGateway(t *testing.T, change func(*gateway.Config)) (*gateway.Gateway, loadtest.Common) {
	t.Helper()
	config := gateway.DefaultConfig(1000)
	if change != nil {
		change(&config)
	}
	g, err := gateway.New(config, testrun.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { g.Run(); close(stopped) }()
	t.Cleanup(func() { g.Close(); <-stopped })
	return g, loadtest.Common{
		URL:     "ws://" + g.ClientAddrs()[0].String() + gateway.Path,
		Publish: g.PublishAddrs()[0].String(),
		Settle:  time.Millisecond,
		NoYield: true, // other tests keep the machine busy
	}
}

// hung is how long a run of a test may take: none does, however busy the machine
// is, unless it waits for what never comes.
const hung = time.Minute

// scenario makes a run that must come to an end.
func scenario[C any](t *testing.T, run func(context.Context, C) (*loadtest.Result, error), config C) *loadtest.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hung)
	defer cancel()
	r, err := run(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// faultless checks what holds for every run against a server without a fault.
// phases are those of the timeline, compared are those of the result.
func faultless(t *testing.T, r *loadtest.Result, phases, compared []string) {
	t.Helper()
	if err := r.Fault(); err != nil {
		t.Errorf("fault: %v\nnotes %q", err, r.Detail.Notes)
	}
	none := counts{clients: r.Clients, delivered: r.Delivered}
	if got := countsOf(r); got != none || r.Clients != r.Detail.ClientsWanted {
		t.Errorf("got %+v of %d clients, want %+v", got, r.Detail.ClientsWanted, none)
	}
	if r.Detail.Ended != "" || r.Detail.Rejected != 0 || len(r.Detail.Notes) != 0 {
		t.Errorf("ended %q, rejected %d, notes %q", r.Detail.Ended, r.Detail.Rejected, r.Detail.Notes)
	}
	if r.Clients > 0 && !ordered(r.Handshake) {
		t.Errorf("handshakes %v", r.Handshake)
	}
	if r.Server.PID == 0 || r.Server.ResidentPeakKB == nil || *r.Server.ResidentPeakKB <= 0 {
		t.Errorf("server %+v", r.Server)
	}
	checkFigures(t, r)
	checkPhases(t, r, compared)
	checkTimeline(t, r, phases)
}

// ordered tells whether there are latencies, and they grow with the percentile.
func ordered(p loadtest.Percentiles) bool {
	return p.P50 > 0 && p.P50 <= p.P90 && p.P90 <= p.P99 && p.P99 <= p.P999 && p.P999 <= p.Max
}

// checkFigures checks that r has the figures that its scenario declares.
func checkFigures(t *testing.T, r *loadtest.Result) {
	t.Helper()
	got := slices.Clone(r.Detail.Figures)
	for i := range got {
		got[i].Value = 0
	}
	if want := loadtest.Figures(r.Scenario, r.Detail.Recovery != nil); !slices.Equal(got, want) {
		t.Errorf("figures are %+v, want %+v", got, want)
	}
}

// figure returns the value of one of them.
func figure(t *testing.T, r *loadtest.Result, name string) float64 {
	t.Helper()
	for _, f := range r.Detail.Figures {
		if f.Name == name {
			return f.Value
		}
	}
	t.Errorf("no figure %s in %+v", name, r.Detail.Figures)
	return 0
}

func checkPhases(t *testing.T, r *loadtest.Result, names []string) {
	t.Helper()
	var got []string
	for _, p := range r.Phases {
		got = append(got, p.Name)
		if p.Seconds <= 0 || p.ServerBusy == nil || (p.Delivered > 0) != ordered(p.Latency) {
			t.Errorf("phase %+v", p)
		}
		// A storm of a few clients may be over before the next event.
		if p.Seconds > 0.2 && (p.Delivered <= 0 || p.DeliveriesPerSecond <= 0) {
			t.Errorf("phase %+v", p)
		}
	}
	if !slices.Equal(got, names) {
		t.Errorf("phases %q, want %q", got, names)
	}
}

// checkTimeline checks that times rise, counts never fall, and the end is what
// the result says.
func checkTimeline(t *testing.T, r *loadtest.Result, phases []string) {
	t.Helper()
	var got []string
	var before loadtest.Sample
	for _, s := range r.Timeline {
		if len(got) == 0 || got[len(got)-1] != s.Phase {
			got = append(got, s.Phase)
		}
		if s.At <= before.At || s.Events < before.Events || s.Delivered < before.Delivered || s.Faults < before.Faults {
			t.Errorf("after %+v comes %+v", before, s)
		}
		if s.Wanted != r.Detail.ClientsWanted || s.Clients > s.Wanted || s.Planned > 0 && s.Events > s.Planned {
			t.Errorf("more than there should be: %+v", s)
		}
		before = s
	}
	if !slices.Equal(got, phases) {
		t.Errorf("the timeline has phases %q, want %q", got, phases)
	}
	if before.Delivered != r.Delivered {
		t.Errorf("the timeline ends with %+v, delivered were %d", before, r.Delivered)
	}
}

// published is how many events there were on all channels together.
func published(r *loadtest.Result) int64 { return r.Timeline[len(r.Timeline)-1].Events }
