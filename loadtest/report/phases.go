package report

import (
	"fmt"
	"strings"

	"fleetcast/loadtest"
)

// band is the time of a phase in the time plots.
type band struct {
	Name string  `json:"name"`
	From float64 `json:"from"` // seconds since the run's start
	To   float64 `json:"to"`
}

// phaseBands finds the phases of a timeline. A sample covers the time since the one
// before, so a phase begins at that one.
func phaseBands(timeline []loadtest.Sample) []band {
	var bands []band
	before := 0.0
	for _, s := range timeline {
		if last := len(bands) - 1; last >= 0 && bands[last].Name == s.Phase {
			bands[last].To = s.At
		} else {
			bands = append(bands, band{s.Phase, before, s.At})
		}
		before = s.At
	}
	if len(bands) < 2 {
		return nil // nothing to tell apart
	}
	return bands
}

// phaseLine says in words what the plots show of phases.
func phaseLine(bands []band) string {
	var parts []string
	for _, b := range bands {
		name := b.Name
		if name == "" {
			name = "no phase"
		}
		parts = append(parts, fmt.Sprintf("%s until %s", name, seconds(b.To)))
	}
	if parts == nil {
		return ""
	}
	return "Phases: " + strings.Join(parts, ", ") + "."
}

// phaseTable sets phases side by side. Rows that hold nothing are left out.
func phaseTable(phases []loadtest.Phase) *table {
	if len(phases) == 0 {
		return nil
	}
	t := &table{ID: "phases", Caption: "Phases, side by side", Head: []string{"Figure"}}
	for _, p := range phases {
		t.Head = append(t.Head, p.Name)
	}
	add := func(name, hint string, cell func(p loadtest.Phase) string) {
		var cells []string
		any := false
		for _, p := range phases {
			text := cell(p)
			any = any || text != ""
			cells = append(cells, text)
		}
		if any {
			t.add(name, hint, cells...)
		}
	}
	add("Duration", "", func(p loadtest.Phase) string { return quantity(p.Seconds) + " s" })
	add("Deliveries", "to the clients that are measured", func(p loadtest.Phase) string { return count(p.Delivered) })
	add("Deliveries per second", "", func(p loadtest.Phase) string { return quantity(p.DeliveriesPerSecond) })
	for i, name := range percentileNames {
		add("Latency "+name, "", func(p loadtest.Phase) string { return percentileCell(p.Latency, i) })
	}
	for i, name := range percentileNames {
		add("Handshake "+name, "", func(p loadtest.Phase) string { return percentileCell(p.Handshake, i) })
	}
	for i, name := range percentileNames {
		add("Ping to pong "+name, "", func(p loadtest.Phase) string { return percentileCell(p.Pong, i) })
	}
	for i, name := range percentileNames {
		add("Recovery "+name, "from dialling until a client has what it had missed", func(p loadtest.Phase) string { return percentileCell(p.Recovery, i) })
	}
	add("Server CPU time", "", func(p loadtest.Phase) string {
		if p.ServerSeconds == nil {
			return ""
		}
		return quantity(*p.ServerSeconds) + " s"
	})
	add("Server CPU", "of one processor", func(p loadtest.Phase) string {
		if p.ServerBusy == nil {
			return ""
		}
		return share(*p.ServerBusy)
	})
	return t
}

func percentileCell(p loadtest.Percentiles, index int) string {
	if !measured(p) {
		return ""
	}
	return ms(percentileValues(p)[index])
}
