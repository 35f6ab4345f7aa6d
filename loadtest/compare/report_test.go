package compare

import (
	"bytes"
	"strings"
	"testing"
)

func TestSpread(t *testing.T) {
	cases := []struct {
		values []float64
		want   Spread
	}{
		{nil, Spread{}},
		{[]float64{2}, Spread{2, 2, 2}},
		{[]float64{3, 1}, Spread{2, 1, 3}},
		{[]float64{9, 1, 2}, Spread{2, 1, 9}},
		{[]float64{4, 1, 3, 2}, Spread{2.5, 1, 4}},
	}
	for _, c := range cases {
		if got := spread(c.values); got != c.want {
			t.Errorf("spread of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

// The ratio is that of each pair, not that of the medians.
func TestReport(t *testing.T) {
	run := func(cpu, p99 float64) (m measured) {
		m.Server.CPUPerDelivery, m.Latency.P99 = cpu, p99
		return m
	}
	r := Report{Pairs: 3, Clients: 10}
	r.add("one", []pair{{run(2, 1), run(1, 0)}, {run(30, 1), run(10, 0)}, {run(4, 1), run(4, 0)}})
	row := r.Rows[0]
	if row.Gateway != 4 || row.Floor != 4 || row.Ratio != (Spread{2, 1, 3}) {
		t.Errorf("%+v", row)
	}
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil || !strings.Contains(table.String(), "2.000  1.000 to 3.000") {
		t.Errorf("%v\n%s", err, table.String())
	}
}

func TestServerThatDoesNotStart(t *testing.T) {
	c := Config{Gateway: "/bin/false", Floor: "/bin/false", Clients: 1, Events: 1, Payload: 128, Pairs: 1, Progress: new(bytes.Buffer)}
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "it ended at once") {
		t.Errorf("got %v", err)
	}
	c.Floor = "missing.cpp"
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "building the floor") {
		t.Errorf("got %v", err)
	}
}
