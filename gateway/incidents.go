package gateway

import (
	"context"
	"log/slog"
	"time"

	"fleetcast/gateway/stats"
)

const (
	// incidentInterval is the least time between two lines about one kind of incident.
	incidentInterval = time.Minute
	// massLeast and massShare are from how many cases within an interval on, in all
	// and as a share of the clients, something is unusual that single clients bring
	// about every day.
	massLeast = 10
	massShare = 0.01
)

// incidents logs that clients and publishers are refused or cut off: a line when a kind
// of incident occurs first, and while it continues a line with the count, at most one
// per incidentInterval. After an interval without any, the next one counts as a first
// again. It reads the counters, so that an incident costs a loop only its counter. It
// belongs to one goroutine.
type incidents struct {
	logger *slog.Logger
	state  map[stats.IncidentKey]*incidentState
}

// incidentState is what was logged of one kind.
type incidentState struct {
	told   uint64        // of the counter, when the last line was written
	at     time.Duration // when that was
	level  slog.Level    // of it
	active bool          // there was one, and since then no interval without a case
	sample stats.Sample
}

func newIncidents(logger *slog.Logger) *incidents {
	return &incidents{logger: logger, state: make(map[stats.IncidentKey]*incidentState)}
}

// sampled takes samples over, until a line is written that needs them.
func (in *incidents) sampled(taken stats.Samples) {
	for key, s := range taken {
		st := in.of(key)
		if st.sample.Attrs == nil {
			st.sample.Attrs = s.Attrs
		}
		for _, name := range s.Names {
			st.sample.AddName(name)
		}
	}
}

func (in *incidents) of(key stats.IncidentKey) *incidentState {
	st := in.state[key]
	if st == nil {
		st = new(incidentState)
		in.state[key] = st
	}
	return st
}

// observe looks at the counters at a moment of the loops' clock, and logs what is due.
// With last, it logs everything that was not logged yet.
func (in *incidents) observe(sum *GatewayStats, now time.Duration, last bool) {
	look := incidentLook{now: now, last: last, mass: uint64(max(massLeast, massShare*float64(sum.Total.Clients)))}
	for _, m := range stats.Metrics() {
		switch {
		case m.Each != "", incidentMessages[m.Name] == "": // no refusals, or whom these refuse others count too
		case m.Label != "":
			for value, n := range m.Values(sum) {
				if key := (stats.IncidentKey{Metric: m.Name, Label: value}); notIncidents[key] == "" {
					in.count(key, m.Label, n, look)
				}
			}
		default:
			in.count(stats.IncidentKey{Metric: m.Name, Label: ""}, "", uint64(m.Value(sum)), look)
		}
	}
}

// incidentLook is when the counters are looked at, and how.
type incidentLook struct {
	now  time.Duration
	last bool
	mass uint64 // from how many cases on a usual kind is a warning
}

// count logs what is due for one kind. Its counter, with a label of that name, has
// reached n.
func (in *incidents) count(key stats.IncidentKey, label string, n uint64, look incidentLook) {
	st := in.state[key]
	if st == nil && n == 0 {
		return
	}
	st = in.of(key)
	kind, known := incidentKinds[key]
	kind.usual = kind.usual || !known // only the decider knows what it means
	added, over := n-st.told, look.now-st.at
	if added == 0 {
		st.active = st.active && over < incidentInterval
		return
	}
	level := slog.LevelWarn
	if kind.usual && added < look.mass {
		level = slog.LevelInfo
	}
	if st.active && over < incidentInterval && level <= st.level && !look.last {
		return
	}
	var attrs []slog.Attr
	if label != "" {
		attrs = append(attrs, slog.String(label, key.Label))
	}
	attrs = append(attrs, slog.Uint64("count", added))
	if st.active {
		attrs = append(attrs, slog.Duration("over", over.Round(time.Second)))
	}
	attrs = append(attrs, slog.Uint64("total", n))
	attrs = append(attrs, st.sample.Shown(kind.names)...)
	if kind.advice != "" {
		attrs = append(attrs, slog.String("advice", kind.advice))
	}
	in.logger.LogAttrs(context.Background(), level, incidentMessages[key.Metric], attrs...)
	*st = incidentState{told: n, at: look.now, level: level, active: true}
}
