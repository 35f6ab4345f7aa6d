package loadtest

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
)

// WriteTable writes the result for people.
func (r *Result) WriteTable(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	row := func(name, format string, values ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, values...))
	}
	d := &r.Detail
	row("clients", "%s of %s", humanize.Comma(int64(r.Clients)), humanize.Comma(int64(d.ClientsWanted)))
	row("events", "%s, frame payload %.1f bytes", humanize.Comma(r.Events), d.FramePayloadBytes)
	row("delivered", "%s in %.3f s, %s a second", humanize.Comma(r.Delivered), r.Seconds,
		humanize.Comma(int64(r.DeliveriesPerSecond)))
	row("verified", "lost %d, duplicated %d, reordered %d, corrupted %d, unexpected %d, told as gaps %d",
		r.Lost, r.Duplicated, r.Reordered, r.Corrupted, d.Unexpected, r.Gaps)
	row("latency, all", "%s", r.Latency)
	row("latency, first subscriber", "%s", d.FirstLatency)
	row("latency, last subscriber", "%s", d.LastLatency)
	r.Server.rows(row, d)
	row("harness", "%.2f µs a delivery, %.0f %% of a processor", r.Harness.CPUPerDelivery, 100*d.HarnessBusy)
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return d.writeNotes(to)
}

func (s *ServerCost) rows(row func(name, format string, values ...any), d *Detail) {
	if s.CPUPerDelivery == nil {
		row("server", "not measured: give its --pid")
		return
	}
	row("server, events", "%.2f µs a delivery, %.0f %% of a processor", *s.CPUPerDelivery, 100**d.ServerBusy)
	row("server, connecting", "%.1f µs a connection", *s.CPUPerConnection)
	row("server, memory", "%s kB resident, %s kB before the first client",
		humanize.Comma(*s.ResidentKB), humanize.Comma(*d.ServerBaseKB))
	if s.ResidentKBPerConnection != nil {
		row("", "%.3f kB a connection, from a third of them to all", *s.ResidentKBPerConnection)
	}
}

func (d *Detail) writeNotes(to io.Writer) error {
	for _, note := range d.Notes {
		if _, err := fmt.Fprintf(to, "! %s\n", note); err != nil {
			return err
		}
	}
	for _, warning := range d.Warnings {
		if _, err := fmt.Fprintf(to, "warning: %s\n", warning); err != nil {
			return err
		}
	}
	return nil
}

// String implements fmt.Stringer.
func (p Percentiles) String() string {
	return fmt.Sprintf("p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  max %.3f ms", p.P50, p.P90, p.P99, p.P999, p.Max)
}
