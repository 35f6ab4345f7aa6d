package compare

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
)

// WriteTable writes the report for people.
func (r *Report) WriteTable(to io.Writer) error {
	var text strings.Builder
	text.WriteString(wrap(r.header(), 100) + "\n")
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, cells := range r.cells() {
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	table.Flush() // a Builder takes all
	for _, note := range r.Notes {
		fmt.Fprintf(&text, "note: %s\n", note)
	}
	if _, err := io.WriteString(to, text.String()); err != nil {
		return fmt.Errorf("writing the comparison: %w", err)
	}
	return nil
}

// Markdown returns the report as Markdown.
func (r *Report) Markdown() string {
	var text strings.Builder
	text.WriteString(wrap(r.header(), 100) + "\n")
	for i, cells := range r.cells() {
		fmt.Fprintf(&text, "| %s |\n", strings.Join(cells, " | "))
		if i == 0 {
			text.WriteString(strings.Repeat("| --- ", len(cells)) + "|\n")
		}
	}
	if len(r.Notes) > 0 {
		text.WriteString("\n")
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&text, "- %s\n", note)
	}
	return text.String()
}

// header says how the figures came about. It holds no date, so that nothing
// changes when nothing has.
func (r *Report) header() string {
	text := fmt.Sprintf("%s beside each peer in %d alternating pairs of runs. ", r.Subject, r.Pairs)
	if r.holds(func(s *setting) bool { return s.events }) {
		text += fmt.Sprintf("Events: %s subscribers, %d bytes of data", humanize.Comma(int64(r.Clients)), r.Payload)
		if r.Compressed {
			text += " at all servers. "
		} else {
			text += ", frames of the same size. "
		}
	}
	if r.holds(func(s *setting) bool { return s.kind == "connect" }) {
		text += fmt.Sprintf("Memory and connecting: %s clients. ", humanize.Comma(int64(r.Connections)))
	}
	if r.holds(func(s *setting) bool { return s.kind == echoKind }) {
		text += "Echoes: one client, one message in flight, text unless it says binary. "
	}
	return text + fmt.Sprintf("Servers on one core, the harness on another, of %d; %s, %s. "+
		"Medians; the ratio is %s by peer, the median of the pairs, the spread their least and greatest.",
		r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.Subject)
}

// holds tells whether there are rows of such a setting.
func (r *Report) holds(is func(*setting) bool) bool {
	return slices.ContainsFunc(r.Rows, func(row Row) bool { return is(findSetting(row.Setting)) })
}

// cells are the table with its head. A figure's title is in its first row only.
func (r *Report) cells() [][]string {
	cells := [][]string{{"figure", "peer", r.Subject, "peer's", "ratio", "spread"}}
	title := ""
	for _, row := range r.Rows {
		shown := row.Title
		if shown == title {
			shown = ""
		}
		title = row.Title
		peer := row.Peer
		if row.Faults > 0 {
			peer = fmt.Sprintf("%s (faults in %d of %d pairs)", peer, row.Faults, r.Pairs)
		}
		ratio, apart := missing, missing
		if row.Ratio != nil {
			ratio = number(row.Ratio.Median)
			apart = number(row.Ratio.Min) + " to " + number(row.Ratio.Max)
		}
		cells = append(cells, []string{shown, peer, value(row.Ours, row.Unit), value(row.Theirs, row.Unit), ratio, apart})
	}
	return cells
}

// missing stands for what was not measured.
const missing = "–"

func value(v *float64, unit string) string {
	if v == nil {
		return missing
	}
	return number(*v) + " " + unit
}

// number writes a figure with three digits that count, but all before the point.
func number(v float64) string {
	switch size := math.Abs(v); {
	case size >= 99.95:
		return humanize.Comma(int64(math.Round(v)))
	case size >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case size >= 0.9995:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// wrap breaks a text into lines of at most width characters, where words allow it.
func wrap(text string, width int) string {
	var lines strings.Builder
	length := 0
	for _, word := range strings.Fields(text) {
		if length > 0 && length+1+len(word) > width {
			lines.WriteString("\n")
			length = 0
		} else if length > 0 {
			lines.WriteString(" ")
			length++
		}
		lines.WriteString(word)
		length += len(word)
	}
	return lines.String() + "\n"
}
