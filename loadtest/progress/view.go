package progress

import (
	"fmt"
	"strconv"

	"github.com/dustin/go-humanize"

	"fleetcast/loadtest"
)

// view is what is shown of one moment.
type view struct {
	loadtest.Sample
	rate float64 // deliveries per second since the sample before
}

// part is a piece of text of a line; empty text is left out.
type part struct {
	text  string
	alarm bool // something is wrong
}

// course is how far the run is.
func (v view) course() []part {
	return []part{
		{text: v.Phase},
		{text: "clients " + outOf(int64(v.Clients), int64(v.Wanted))},
		{text: v.events()},
	}
}

// figures is what the last interval was like, and what went wrong so far.
func (v view) figures() []part {
	return []part{
		{text: v.deliveries()},
		{text: v.latency()},
		{text: "faults " + humanize.Comma(v.Faults), alarm: v.Faults > 0},
		{text: "missing " + humanize.Comma(v.Missing), alarm: v.Missing > 0},
		{text: v.server()},
	}
}

func (v view) events() string {
	if v.Events == 0 && v.Planned == 0 {
		return ""
	}
	return "events " + outOf(v.Events, v.Planned)
}

func (v view) deliveries() string {
	if v.Delivered == 0 {
		return ""
	}
	return humanize.Comma(int64(v.rate)) + " deliveries/s"
}

func (v view) latency() string {
	if v.Latency.Max == 0 {
		return ""
	}
	return fmt.Sprintf("p50 %s  p99 %s ms", milliseconds(v.Latency.P50), milliseconds(v.Latency.P99))
}

// server is empty if no server process is measured: then its memory is not known.
func (v view) server() string {
	if v.ServerKB == 0 {
		return ""
	}
	return fmt.Sprintf("server %.0f %% CPU, %.1f MiB", 100*v.ServerBusy, float64(v.ServerKB)/1024)
}

// outOf prints n and, if it is known, how many there will be.
func outOf(n, all int64) string {
	if all == 0 {
		return humanize.Comma(n)
	}
	return humanize.Comma(n) + "/" + humanize.Comma(all)
}

// milliseconds prints three digits or so.
func milliseconds(v float64) string {
	switch {
	case v >= 100:
		return humanize.Comma(int64(v))
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}
