package compare

import (
	"slices"
	"testing"
)

func TestSpread(t *testing.T) {
	cases := []struct {
		values []float64
		want   Spread
	}{
		{[]float64{2}, Spread{2, 2, 2}},
		{[]float64{3, 1}, Spread{2, 1, 3}},
		{[]float64{9, 1, 2}, Spread{2, 1, 9}},
		{[]float64{4, 1, 3, 2}, Spread{2.5, 1, 4}},
	}
	for _, c := range cases {
		if got := spread(c.values); *got != c.want {
			t.Errorf("spread of %v is %v, want %v", c.values, *got, c.want)
		}
	}
	if got := spread(nil); got != nil {
		t.Errorf("spread of nothing is %v", got)
	}
}

// deliveries is a run with a CPU time per delivery and a frame size.
func deliveries(cpu, frame float64) *outcome {
	o := new(outcome)
	o.Server.CPUPerDelivery, o.Detail.FramePayloadBytes = &cpu, frame
	return o
}

// memory is a run with a slope.
func memory(kb float64) *outcome {
	o := new(outcome)
	o.Server.ResidentKBPerConnection = &kb
	return o
}

func TestRows(t *testing.T) {
	cases := []struct {
		name         string
		setting      string
		pairs        []pair
		ours, theirs float64
		ratio        *Spread
	}{
		{"the ratio is that of each pair, not that of the medians", "window-1",
			[]pair{{deliveries(2, 9), deliveries(1, 9)}, {deliveries(30, 9), deliveries(10, 9)}, {deliveries(4, 9), deliveries(4, 9)}},
			4, 4, &Spread{2, 1, 3}},
		{"a peer that needs nothing has no ratio", "connect",
			[]pair{{memory(1), memory(2)}, {memory(3), memory(0)}}, 2, 1, nil},
		{"nor has one whose memory shrinks", "connect", []pair{{memory(1), memory(-2)}}, 1, -2, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := Report{Pairs: len(c.pairs), Subject: "a"}
			r.add(findSetting(c.setting), "b", c.pairs)
			if len(r.Rows) != 1 || len(r.Notes) != 0 {
				t.Fatalf("got %+v", r)
			}
			row := r.Rows[0]
			if *row.Ours != c.ours || *row.Theirs != c.theirs || row.Peer != "b" || row.Setting != c.setting {
				t.Errorf("got %+v", row)
			}
			if (row.Ratio == nil) != (c.ratio == nil) || row.Ratio != nil && *row.Ratio != *c.ratio {
				t.Errorf("ratio is %v, want %v", row.Ratio, c.ratio)
			}
		})
	}
}

// Rows of one figure stand together, in the order of the figures and then of the peers.
func TestRowOrder(t *testing.T) {
	run := func() *outcome {
		one := 1.0
		o := deliveries(1, 1)
		o.Latency.P50, o.Latency.P99, o.Server.CPUPerConnection = &one, &one, &one
		return o
	}
	var r Report
	for _, s := range []string{"window-1", "window-32", "connect"} {
		for _, peer := range []string{"z", "b"} {
			r.add(findSetting(s), peer, []pair{{run(), run()}})
		}
	}
	r.sort()
	var got []string
	for _, row := range r.Rows {
		got = append(got, row.Setting+" "+row.Figure+" "+row.Peer)
	}
	want := []string{
		"window-1 cpu_us_per_delivery z", "window-1 cpu_us_per_delivery b",
		"window-1 latency_ms_p50 z", "window-1 latency_ms_p50 b",
		"window-1 latency_ms_p99 z", "window-1 latency_ms_p99 b",
		"window-32 cpu_us_per_delivery z", "window-32 cpu_us_per_delivery b",
		"window-32 latency_ms_p50 z", "window-32 latency_ms_p50 b",
		"window-32 latency_ms_p99 z", "window-32 latency_ms_p99 b",
		"connect cpu_us_per_connection z", "connect cpu_us_per_connection b",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestNotes(t *testing.T) {
	faulty := func(o *outcome, fault string) *outcome { o.fault = fault; return o }
	warned := func(o *outcome, warning string) *outcome {
		o.Detail.Warnings = []string{warning}
		return o
	}
	r := Report{Pairs: 3, Subject: "a"}
	r.add(findSetting("window-1"), "b", []pair{
		{warned(deliveries(1, 171), "the harness was busy"), deliveries(1, 171)},
		{deliveries(1, 171), faulty(deliveries(1, 171.4), "1 events lost")},
		{deliveries(1, 171), warned(faulty(deliveries(1, 180), "2 events lost"), "slow")},
	})
	want := []string{
		"window-1, a beside b: a warning in 1 of 3 runs: the harness was busy",
		"window-1, b: faults in 2 of 3 runs: 1 events lost",
		"window-1, b: a warning in 1 of 3 runs: slow",
		"window-1, b: frames of 171 bytes beside frames of 180",
	}
	if !slices.Equal(r.Notes, want) {
		t.Errorf("got  %q\nwant %q", r.Notes, want)
	}
	if r.Rows[0].Faults != 2 {
		t.Errorf("%d pairs are faulty, want 2", r.Rows[0].Faults)
	}
}
