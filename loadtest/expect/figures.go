package expect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"fleetcast/loadtest"
)

var errNotMeasured = errors.New("not measured")

// measure is a figure of a result: its kind, and how it is read in the kind's
// base unit.
type measure struct {
	kind kind
	read func(r *loadtest.Result) (float64, error)
}

// figure is a figure with a name of its own, of a run or of a phase. read tells
// whether it was measured.
type figure[T any] struct {
	name string
	kind kind
	read func(of *T) (value float64, measured bool)
}

// ofRun are the figures that every run may have.
var ofRun = slices.Concat(
	[]figure[loadtest.Result]{
		counted("clients", func(r *loadtest.Result) int64 { return int64(r.Clients) }),
		counted("missing_clients", func(r *loadtest.Result) int64 { return int64(r.Detail.ClientsWanted - r.Clients) }),
		counted("compressed_clients", func(r *loadtest.Result) int64 { return int64(r.Detail.Compressing) }),
		counted("compression_declined", func(r *loadtest.Result) int64 { return r.Detail.Declined }),
		counted("connected", func(r *loadtest.Result) int64 { return r.Detail.Connected }),
		counted("refused", func(r *loadtest.Result) int64 { return r.Detail.Refused }),
		counted("turned_away", func(r *loadtest.Result) int64 { return r.Detail.TurnedAway }),
		counted("disconnected", func(r *loadtest.Result) int64 { return r.Detail.Disconnected }),
		counted("events", func(r *loadtest.Result) int64 { return r.Events }),
		counted("delivered", func(r *loadtest.Result) int64 { return r.Delivered }),
		counted("lost", func(r *loadtest.Result) int64 { return r.Lost }),
		counted("duplicated", func(r *loadtest.Result) int64 { return r.Duplicated }),
		counted("reordered", func(r *loadtest.Result) int64 { return r.Reordered }),
		counted("corrupted", func(r *loadtest.Result) int64 { return r.Corrupted }),
		counted("gaps", func(r *loadtest.Result) int64 { return r.Gaps }),
		counted("pings", func(r *loadtest.Result) int64 { return r.Detail.Pings }),
		counted("unanswered", func(r *loadtest.Result) int64 { return r.Detail.Unanswered }),
		counted("gap_messages", func(r *loadtest.Result) int64 { return r.Detail.GapMessages }),
		counted("gap_wrong", func(r *loadtest.Result) int64 { return r.Detail.GapWrong }),
		counted("gap_split", func(r *loadtest.Result) int64 { return r.Detail.GapSplit }),
		counted("newest_dropped", func(r *loadtest.Result) int64 { return r.Detail.NewestDropped }),
		counted("unexpected", func(r *loadtest.Result) int64 { return r.Detail.Unexpected }),
		counted("rejected", func(r *loadtest.Result) int64 { return r.Detail.Rejected }),
		counted("taken", func(r *loadtest.Result) int64 { return r.Detail.Taken }),
		counted("not_taken", func(r *loadtest.Result) int64 { return r.Detail.NotTaken }),
		ofRecovery("recoveries", func(r *loadtest.Recovery) int64 { return r.Recoveries }),
		ofRecovery("whole", func(r *loadtest.Recovery) int64 { return r.Whole }),
		ofRecovery("recovered", func(r *loadtest.Recovery) int64 { return r.Events }),
		ofRecovery("recovery_lost", func(r *loadtest.Recovery) int64 { return r.Lost }),
		ofRecovery("resets", func(r *loadtest.Recovery) int64 { return r.Resets }),
		ofRecovery("reset_events", func(r *loadtest.Recovery) int64 { return r.ResetEvents }),
		ofRecovery("recovery_wrong", func(r *loadtest.Recovery) int64 { return r.Wrong }),
		ofRecovery("lost_wrong", func(r *loadtest.Recovery) int64 { return r.LostWrong }),
		counted("in_flight", func(r *loadtest.Result) int64 { return r.InFlight }),
		payload("frame_bytes", func(r *loadtest.Result) float64 { return r.Detail.FramePayloadBytes }),
		payload("frame_bytes_compressed", func(r *loadtest.Result) float64 { return r.Detail.CompressedPayloadBytes }),
		payload("frame_bytes_plain", func(r *loadtest.Result) float64 { return r.Detail.PlainPayloadBytes }),
		known("seconds", seconds, 1e3, func(r *loadtest.Result) float64 { return r.Seconds }),
		known("events_per_second", count, 1, func(r *loadtest.Result) float64 { return r.EventsPerSecond }),
		known("deliveries_per_second", count, 1, func(r *loadtest.Result) float64 { return r.DeliveriesPerSecond }),
	},
	percentiles("", func(r *loadtest.Result) *loadtest.Percentiles { return &r.Latency }),
	percentiles("first_", func(r *loadtest.Result) *loadtest.Percentiles { return &r.Detail.FirstLatency }),
	percentiles("last_", func(r *loadtest.Result) *loadtest.Percentiles { return &r.Detail.LastLatency }),
	percentiles("handshake_", func(r *loadtest.Result) *loadtest.Percentiles { return &r.Handshake }),
	percentiles("pong_", func(r *loadtest.Result) *loadtest.Percentiles { return &r.Pong }),
	percentiles("recovery_", func(r *loadtest.Result) *loadtest.Percentiles {
		if r.Detail.Recovery == nil {
			return &loadtest.Percentiles{}
		}
		return &r.Detail.Recovery.Time
	}),
	[]figure[loadtest.Result]{
		maybe("cpu_per_delivery", duration, microsecond, func(r *loadtest.Result) *float64 { return r.Server.CPUPerDelivery }),
		maybe("cpu_per_event", duration, microsecond, func(r *loadtest.Result) *float64 { return r.Server.CPUPerEvent }),
		maybe("cpu_per_connection", duration, microsecond, func(r *loadtest.Result) *float64 { return r.Server.CPUPerConnection }),
		maybe("rss", size, 1, func(r *loadtest.Result) *int64 { return r.Server.ResidentKB }),
		maybe("rss_base", size, 1, func(r *loadtest.Result) *int64 { return r.Server.ResidentBaseKB }),
		maybe("rss_peak", size, 1, func(r *loadtest.Result) *int64 { return r.Server.ResidentPeakKB }),
		maybe("rss_per_connection", size, 1, func(r *loadtest.Result) *float64 { return r.Server.ResidentKBPerConnection }),
		maybe("socket_per_connection", size, 1, func(r *loadtest.Result) *float64 { return r.Server.SocketKBPerConnection }),
		maybe("socket_peak", size, 1, func(r *loadtest.Result) *int64 { return r.Server.SocketPeakKB }),
		maybe("server_cpu", share, 1, func(r *loadtest.Result) *float64 { return r.Detail.ServerBusy }),
		known("harness_cpu", share, 1, func(r *loadtest.Result) float64 { return r.Detail.HarnessBusy }),
		{"harness_cpu_per_delivery", duration, func(r *loadtest.Result) (float64, bool) {
			return r.Harness.CPUPerDelivery * microsecond, r.Delivered > 0
		}},
	},
)

// ofPhase are the figures of each phase.
var ofPhase = slices.Concat(
	[]figure[loadtest.Phase]{
		counted("delivered", func(p *loadtest.Phase) int64 { return p.Delivered }),
		known("seconds", seconds, 1e3, func(p *loadtest.Phase) float64 { return p.Seconds }),
		known("deliveries_per_second", count, 1, func(p *loadtest.Phase) float64 { return p.DeliveriesPerSecond }),
		maybe("server_cpu", share, 1, func(p *loadtest.Phase) *float64 { return p.ServerBusy }),
		maybe("server_cpu_seconds", seconds, 1e3, func(p *loadtest.Phase) *float64 { return p.ServerSeconds }),
	},
	percentiles("", func(p *loadtest.Phase) *loadtest.Percentiles { return &p.Latency }),
	percentiles("handshake_", func(p *loadtest.Phase) *loadtest.Percentiles { return &p.Handshake }),
	percentiles("pong_", func(p *loadtest.Phase) *loadtest.Percentiles { return &p.Pong }),
	percentiles("recovery_", func(p *loadtest.Phase) *loadtest.Percentiles { return &p.Recovery }),
)

// microsecond is in the base unit of times.
const microsecond = 1e-3

// known is a figure that every result has; factor is its unit.
func known[T any](name string, k kind, factor float64, read func(of *T) float64) figure[T] {
	return figure[T]{name, k, func(of *T) (float64, bool) { return read(of) * factor, true }}
}

func counted[T any](name string, read func(of *T) int64) figure[T] {
	return figure[T]{name, count, func(of *T) (float64, bool) { return float64(read(of)), true }}
}

// ofRecovery is a count of a run in which clients come back with their positions.
func ofRecovery(name string, read func(r *loadtest.Recovery) int64) figure[loadtest.Result] {
	return figure[loadtest.Result]{name, count, func(r *loadtest.Result) (float64, bool) {
		if r.Detail.Recovery == nil {
			return 0, false
		}
		return float64(read(r.Detail.Recovery)), true
	}}
}

// payload is a mean size in bytes, which is 0 if there was nothing of that kind.
func payload(name string, read func(r *loadtest.Result) float64) figure[loadtest.Result] {
	return figure[loadtest.Result]{name, size, func(r *loadtest.Result) (float64, bool) {
		bytes := read(r)
		return bytes / 1024, bytes > 0
	}}
}

// maybe is a figure that is nil if it was not measured.
func maybe[T any, N int64 | float64](name string, k kind, factor float64, read func(of *T) *N) figure[T] {
	return figure[T]{name, k, func(of *T) (float64, bool) {
		n := read(of)
		if n == nil {
			return 0, false
		}
		return float64(*n) * factor, true
	}}
}

// percentiles are the figures of a distribution, all 0 if it is empty: without
// one delivery no threshold for latencies is met.
func percentiles[T any](prefix string, of func(*T) *loadtest.Percentiles) (figures []figure[T]) {
	for _, f := range []struct {
		name string
		read func(p *loadtest.Percentiles) float64
	}{
		{"p50", func(p *loadtest.Percentiles) float64 { return p.P50 }},
		{"p90", func(p *loadtest.Percentiles) float64 { return p.P90 }},
		{"p99", func(p *loadtest.Percentiles) float64 { return p.P99 }},
		{"p999", func(p *loadtest.Percentiles) float64 { return p.P999 }},
		{"max", func(p *loadtest.Percentiles) float64 { return p.Max }},
	} {
		figures = append(figures, figure[T]{prefix + f.name, duration, func(t *T) (float64, bool) {
			p := of(t)
			return f.read(p), *p != loadtest.Percentiles{}
		}})
	}
	return figures
}

// find returns the figure of a name; own are the scenario's.
func find(name string, own []loadtest.Figure) (measure, error) {
	for _, f := range ofRun {
		if f.name == name {
			return measure{f.kind, func(r *loadtest.Result) (float64, error) { return value(f, r) }}, nil
		}
	}
	for _, f := range own {
		if f.Name == name {
			return ofScenario(f), nil
		}
	}
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		for _, f := range ofPhase {
			if f.name == name[dot+1:] {
				return inPhase(name[:dot], f), nil
			}
		}
	}
	return measure{}, unknown(name, own)
}

func value[T any](f figure[T], of *T) (float64, error) {
	v, measured := f.read(of)
	if !measured {
		return 0, errNotMeasured
	}
	return v, nil
}

func ofScenario(declared loadtest.Figure) measure {
	k := kindOf(declared.Unit)
	return measure{k, func(r *loadtest.Result) (float64, error) {
		for _, f := range r.Detail.Figures {
			if f.Name == declared.Name {
				return f.Value * k.plain, nil
			}
		}
		return 0, errNotMeasured
	}}
}

func inPhase(phase string, f figure[loadtest.Phase]) measure {
	return measure{f.kind, func(r *loadtest.Result) (float64, error) {
		var names []string
		for i := range r.Phases {
			if r.Phases[i].Name == phase {
				return value(f, &r.Phases[i])
			}
			names = append(names, r.Phases[i].Name)
		}
		if len(names) == 0 {
			return 0, fmt.Errorf("%w (the run has no phases)", errNotMeasured)
		}
		return 0, fmt.Errorf("%w (the run has no phase %q, but %s)", errNotMeasured, phase, quote(names))
	}}
}
