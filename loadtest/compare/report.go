package compare

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Report is the outcome of a comparison.
type Report struct {
	Pairs   int   `json:"pairs"`
	Clients int   `json:"clients"`
	Rows    []Row `json:"rows"`
}

// Row is one figure of both servers.
type Row struct {
	Setting string  `json:"setting"`
	Figure  string  `json:"figure"`
	Gateway float64 `json:"gateway"` // median
	Floor   float64 `json:"floor"`   // median
	Ratio   Spread  `json:"ratio"`   // gateway by floor, pair by pair
}

// Spread is the median of some values and how far they lie apart.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// figures are what a run is compared by.
var figures = []struct {
	name string
	of   func(*measured) float64
}{
	{"cpu_us_per_delivery", func(m *measured) float64 { return m.Server.CPUPerDelivery }},
	{"latency_ms p50", func(m *measured) float64 { return m.Latency.P50 }},
	{"latency_ms p99", func(m *measured) float64 { return m.Latency.P99 }},
	{"cpu_us_per_connection", func(m *measured) float64 { return m.Server.CPUPerConnection }},
}

// add adds a setting's rows.
func (r *Report) add(setting string, pairs []pair) {
	for _, f := range figures {
		var gateway, floor, ratio []float64
		for i := range pairs {
			a, b := f.of(&pairs[i].gateway), f.of(&pairs[i].floor)
			gateway, floor = append(gateway, a), append(floor, b)
			if b > 0 {
				ratio = append(ratio, a/b)
			}
		}
		r.Rows = append(r.Rows, Row{setting, f.name, spread(gateway).Median, spread(floor).Median, spread(ratio)})
	}
}

// spread returns zeroes for no values.
func spread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%d subscribers, %d pairs\n", r.Clients, r.Pairs)
	fmt.Fprintln(table, "setting\tfigure\tgateway\tfloor\tratio\tspread")
	for _, row := range r.Rows {
		fmt.Fprintf(table, "%s\t%s\t%.3f\t%.3f\t%.3f\t%.3f to %.3f\n", row.Setting, row.Figure,
			row.Gateway, row.Floor, row.Ratio.Median, row.Ratio.Min, row.Ratio.Max)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the comparison: %w", err)
	}
	return nil
}
