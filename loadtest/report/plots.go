package report

import (
	"bytes"
	"math"
	"strconv"

	"fleetcast/loadtest"
)

// plotData is what the page's script draws from.
type plotData struct {
	Time  values `json:"time"` // of the samples, seconds since the run's start
	Bands []band `json:"bands"`
	Plots []plot `json:"plots"`
}

// plot is one plot: over time, or over categories if it has any.
type plot struct {
	ID         string   `json:"id"`
	Title      string   `json:"-"`
	Text       string   `json:"-"` // the key figures in words
	Axis       string   `json:"axis"`
	Unit       string   `json:"unit"` // of values in the legend
	Log        bool     `json:"log"`
	Categories []string `json:"categories"`
	Series     []series `json:"series"`
}

type series struct {
	Label  string `json:"label"`
	Values values `json:"values"`
}

// values are written as JSON to six significant digits; those that are not
// finite become null, a gap in the plot.
type values []float64

// MarshalJSON implements json.Marshaler.
func (v values) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('[')
	for i, x := range v {
		if i > 0 {
			out.WriteByte(',')
		}
		if math.IsNaN(x) || math.IsInf(x, 0) {
			out.WriteString("null")
			continue
		}
		out.WriteString(strconv.FormatFloat(x, 'g', 6, 64))
	}
	out.WriteByte(']')
	return out.Bytes(), nil
}

// gap marks a value that there is not.
var gap = math.NaN()

// plotsOf makes the plots that there is data for.
func plotsOf(r *loadtest.Result) []plot {
	var plots []plot
	add := func(p plot) {
		if len(p.Series) > 0 {
			plots = append(plots, p)
		}
	}
	add(latencyPercentiles(r))
	add(handshakePercentiles(r))
	if len(r.Timeline) < 2 {
		return plots // a single moment is no course
	}
	add(latencyOverTime(r.Timeline))
	add(connectionsOverTime(r.Timeline))
	add(deliveriesOverTime(r.Timeline))
	add(processorOverTime(r.Timeline))
	add(memoryOverTime(r.Timeline))
	return plots
}

func latencyPercentiles(r *loadtest.Result) plot {
	p := percentilePlot("latency-percentiles", "Latency by percentile")
	p.addPercentiles("all deliveries", r.Latency)
	p.addPercentiles("first subscriber", r.Detail.FirstLatency)
	p.addPercentiles("last subscriber", r.Detail.LastLatency)
	for _, phase := range r.Phases {
		p.addPercentiles("phase "+phase.Name, phase.Latency)
	}
	return p
}

func handshakePercentiles(r *loadtest.Result) plot {
	p := percentilePlot("handshake-percentiles", "Handshake by percentile")
	p.addPercentiles("all connections", r.Handshake)
	for _, phase := range r.Phases {
		p.addPercentiles("phase "+phase.Name, phase.Handshake)
	}
	return p
}

func percentilePlot(id, title string) plot {
	return plot{ID: id, Title: title, Axis: "milliseconds, log scale", Unit: "ms", Log: true, Categories: percentileNames}
}

func (p *plot) addPercentiles(label string, of loadtest.Percentiles) {
	if !measured(of) {
		return
	}
	p.Series = append(p.Series, series{label, positive(percentileValues(of))})
	p.Text += capitalised(label) + ": half within " + ms(of.P50) + ", 99 % within " + ms(of.P99) + ", the slowest " + ms(of.Max) + ". "
}

func latencyOverTime(timeline []loadtest.Sample) plot {
	p := plot{ID: "latency-time", Title: "Latency over time", Axis: "milliseconds, log scale", Unit: "ms", Log: true}
	p99 := positive(column(timeline, func(s loadtest.Sample) float64 { return s.Latency.P99 }))
	slowest := positive(column(timeline, func(s loadtest.Sample) float64 { return s.Latency.Max }))
	worst := extremes(slowest)
	if worst.none() {
		return p
	}
	p.Series = []series{
		{"p50", positive(column(timeline, func(s loadtest.Sample) float64 { return s.Latency.P50 }))},
		{"p99", p99},
		{"max", slowest},
	}
	middle := extremes(p99)
	p.Text = "The p99 of an interval was between " + ms(middle.low) + " and " + ms(middle.high) +
		"; the slowest delivery took " + ms(worst.high) + ", seen at " + seconds(timeline[worst.highAt].At) + "."
	return p
}

func connectionsOverTime(timeline []loadtest.Sample) plot {
	p := plot{ID: "connections-time", Title: "Connections over time", Axis: "clients"}
	clients := column(timeline, func(s loadtest.Sample) float64 { return float64(s.Clients) })
	wanted := column(timeline, func(s loadtest.Sample) float64 { return float64(s.Wanted) })
	most := extremes(clients)
	if most.high == 0 && extremes(wanted).high == 0 {
		return p
	}
	p.Series = []series{{"connected", clients}, {"wanted", wanted}}
	last := timeline[len(timeline)-1]
	p.Text = "At most " + quantity(most.high) + " clients were connected, first at " + seconds(timeline[most.highAt].At) +
		"; at the end " + count(int64(last.Clients)) + " of " + count(int64(last.Wanted)) + " wanted."
	return p
}

func deliveriesOverTime(timeline []loadtest.Sample) plot {
	p := plot{ID: "deliveries-time", Title: "Deliveries per second over time", Axis: "deliveries per second", Unit: "/s"}
	rates := rates(timeline)
	peak := extremes(rates)
	if peak.none() || peak.high == 0 {
		return p
	}
	p.Series = []series{{"deliveries", rates}}
	p.Text = "The most in an interval was " + quantity(peak.high) + " deliveries per second, at " +
		seconds(timeline[peak.highAt].At) + "; in all " + count(timeline[len(timeline)-1].Delivered) + " deliveries."
	return p
}

// rates are the deliveries per second between each sample and the one before;
// the run starts with none.
func rates(timeline []loadtest.Sample) values {
	rates := make(values, len(timeline))
	var before loadtest.Sample
	for i, s := range timeline {
		rates[i] = gap
		if s.At > before.At {
			rates[i] = float64(s.Delivered-before.Delivered) / (s.At - before.At)
		}
		before = s
	}
	return rates
}

func processorOverTime(timeline []loadtest.Sample) plot {
	p := plot{ID: "processor-time", Title: "CPU over time", Axis: "% of one processor", Unit: "%"}
	p.addLoad("server", column(timeline, func(s loadtest.Sample) float64 { return 100 * s.ServerBusy }), func(v float64) string { return share(v / 100) })
	p.addLoad("harness", column(timeline, func(s loadtest.Sample) float64 { return 100 * s.OwnBusy }), func(v float64) string { return share(v / 100) })
	return p
}

func memoryOverTime(timeline []loadtest.Sample) plot {
	p := plot{ID: "memory-time", Title: "Memory over time", Axis: "MiB", Unit: "MiB"}
	mib := func(v float64) string { return quantity(v) + " MiB" }
	p.addLoad("server, resident", column(timeline, func(s loadtest.Sample) float64 { return float64(s.ServerKB) / 1024 }), mib)
	p.addLoad("kernel, all TCP buffers", column(timeline, func(s loadtest.Sample) float64 { return float64(s.SocketKB) / 1024 }), mib)
	return p
}

// addLoad adds a series unless it is zero throughout: then it was not measured.
func (p *plot) addLoad(label string, v values, print func(float64) string) {
	e := extremes(v)
	if e.high <= 0 {
		return
	}
	p.Series = append(p.Series, series{label, v})
	p.Text += capitalised(label) + ": between " + print(e.low) + " and " + print(e.high) + ", " + print(v[len(v)-1]) + " at the end. "
}
