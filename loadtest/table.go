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
	if r.Incomplete != "" {
		row("INCOMPLETE", "%s", r.Incomplete)
	}
	if d.ClientsWanted > 0 {
		row("clients", "%s of %s", humanize.Comma(int64(r.Clients)), humanize.Comma(int64(d.ClientsWanted)))
		if d.Compressing > 0 || d.Declined > 0 {
			row("compressed", "%s of those", humanize.Comma(int64(d.Compressing)))
		}
		row("handshake", "%s", r.Handshake)
		if d.TurnedAway > 0 {
			row("turned away", "%s times: come back later", humanize.Comma(d.TurnedAway))
		}
	}
	if r.Events > 0 {
		row("events", "%s in %.3f s, %s a second", humanize.Comma(r.Events), r.Seconds, humanize.Comma(int64(r.EventsPerSecond)))
	}
	if d.Rejected+d.NotTaken > 0 {
		row("", "%s taken by the server, %s rejected, %s not taken", humanize.Comma(d.Taken), humanize.Comma(d.Rejected), humanize.Comma(d.NotTaken))
	}
	if r.Delivered > 0 {
		row("delivered", "%s, %s a second, frame payload %.1f bytes", humanize.Comma(r.Delivered),
			humanize.Comma(int64(r.DeliveriesPerSecond)), d.FramePayloadBytes)
	}
	if d.CompressedPayloadBytes > 0 && d.PlainPayloadBytes > 0 {
		row("", "frame payload %.1f bytes compressed, %.1f bytes plain", d.CompressedPayloadBytes, d.PlainPayloadBytes)
	}
	row("verified", "lost %d, duplicated %d, reordered %d, corrupted %d, unexpected %d, disconnected %d, told as gaps %d",
		r.Lost, r.Duplicated, r.Reordered, r.Corrupted, d.Unexpected, d.Disconnected, r.Gaps)
	if r.Incomplete != "" {
		row("", "in flight %d when the run was cut short", r.InFlight)
	}
	if d.GapMessages > 0 {
		row("gaps", "%d events in %d messages; wrong %d, split %d, newest of a key dropped %d",
			r.Gaps, d.GapMessages, d.GapWrong, d.GapSplit, d.NewestDropped)
	}
	d.Recovery.rows(row)
	r.latencyRows(row)
	for _, f := range d.Figures {
		row(f.Title, "%s %s", humanize.FtoaWithDigits(f.Value, 3), f.Unit)
	}
	r.Server.rows(row, d)
	r.harnessRow(row)
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return d.writeNotes(to)
}

func (r *Result) latencyRows(row func(name, format string, values ...any)) {
	if r.Latency != (Percentiles{}) && len(r.Phases) == 0 {
		row("latency, all", "%s", r.Latency)
	}
	if d := &r.Detail; len(r.Phases) == 0 && d.FirstLatency != (Percentiles{}) {
		row("latency, first subscriber", "%s", d.FirstLatency)
		row("latency, last subscriber", "%s", d.LastLatency)
	}
	for _, p := range r.Phases {
		row("latency, "+p.Name, "%s", p.Latency)
	}
	for _, p := range r.Phases {
		if p.Handshake != (Percentiles{}) {
			row("handshake, "+p.Name, "%s", p.Handshake)
		}
	}
	for _, p := range r.Phases {
		if p.Pong != (Percentiles{}) {
			row("ping to pong, "+p.Name, "%s", p.Pong)
		}
	}
	for _, p := range r.Phases {
		if p.ServerSeconds != nil {
			row("server, "+p.Name, "%.3f s of a processor in %.1f s", *p.ServerSeconds, p.Seconds)
		}
	}
}

func (r *Recovery) rows(row func(name, format string, values ...any)) {
	if r == nil {
		return
	}
	row("recovered", "%s missed events; whole %s times of %s; told as lost %s; resets %s, without %s events", humanize.Comma(r.Events),
		humanize.Comma(r.Whole), humanize.Comma(r.Recoveries), humanize.Comma(r.Lost), humanize.Comma(r.Resets), humanize.Comma(r.ResetEvents))
	row("", "wrong %d, losses told wrongly %d", r.Wrong, r.LostWrong)
	row("recovery, from dialling", "%s", r.Time)
}

func (s *ServerCost) rows(row func(name, format string, values ...any), d *Detail) {
	if s.PID == 0 {
		row("server", "not measured: it is not on this machine, or give its --pid")
		return
	}
	if len(s.Processes) > 0 {
		row("server", "%s, %s", processText(s.Processes), s.Found)
	}
	if *s.CPUPerDelivery > 0 {
		row("server, events", "%.2f µs a delivery, %.2f µs an event, %.0f %% of a processor",
			*s.CPUPerDelivery, *s.CPUPerEvent, 100**d.ServerBusy)
	} else if *s.CPUPerEvent > 0 {
		row("server, events", "%.3f µs an event, %.0f %% of a processor", *s.CPUPerEvent, 100**d.ServerBusy)
	}
	if s.CPUPerConnection != nil {
		row("server, connecting", "%.1f µs a connection", *s.CPUPerConnection)
		row("server, memory", "%s kB resident, %s kB before the first client, %s kB at most",
			humanize.Comma(*s.ResidentKB), humanize.Comma(*s.ResidentBaseKB), humanize.Comma(*s.ResidentPeakKB))
	}
	if s.ResidentKBPerConnection != nil {
		row("", "%.3f kB a connection, from a third of them to all", *s.ResidentKBPerConnection)
	}
	if s.SocketKBPerConnection != nil {
		row("kernel, sockets", "%.3f kB a connection, %s kB at most, of the whole machine", *s.SocketKBPerConnection,
			humanize.Comma(*s.SocketPeakKB))
	}
}

func (r *Result) harnessRow(row func(name, format string, values ...any)) {
	if r.Harness.CPUPerDelivery > 0 {
		row("harness", "%.2f µs a delivery, %.0f %% of a processor", r.Harness.CPUPerDelivery, 100*r.Detail.HarnessBusy)
		return
	}
	row("harness", "%.0f %% of a processor", 100*r.Detail.HarnessBusy)
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
	if p == (Percentiles{}) {
		return "none: nothing was measured"
	}
	return fmt.Sprintf("p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  max %.3f ms", p.P50, p.P90, p.P99, p.P999, p.Max)
}
