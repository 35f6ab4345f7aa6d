package loadtest

import (
	"errors"
	"fmt"
)

// Result is what a run found. Its JSON form is what scripts rely on.
type Result struct {
	Clients    int   `json:"clients"`    // that were connected and subscribed
	Events     int64 `json:"events"`     // published
	Delivered  int64 `json:"delivered"`  // arrivals of intact events, each event once per subscriber
	Lost       int64 `json:"lost"`       // events that a subscriber never got
	Duplicated int64 `json:"duplicated"` // arrivals of an event that had arrived before
	Reordered  int64 `json:"reordered"`  // events that came after a later one of their channel
	Corrupted  int64 `json:"corrupted"`  // events whose data is not what was published
	Gaps       int64 `json:"gaps"`       // events that the server said it would not deliver; these are not lost

	Seconds             float64     `json:"seconds"` // from the first event's due time to the last arrival
	DeliveriesPerSecond float64     `json:"deliveries_per_second"`
	Latency             Percentiles `json:"latency_ms"` // of all deliveries
	Server              ServerCost  `json:"server"`
	Harness             HarnessCost `json:"harness"`
	Detail              Detail      `json:"detail"`
}

// ServerCost is what the server used; nil where it was not measured.
type ServerCost struct {
	CPUPerDelivery          *float64 `json:"cpu_us_per_delivery"`   // over the event phase
	CPUPerConnection        *float64 `json:"cpu_us_per_connection"` // over the connect phase, subscription included
	ResidentKB              *int64   `json:"rss_kb"`                // with all clients connected and nothing going on
	ResidentKBPerConnection *float64 `json:"rss_kb_per_connection"` // slope from a third of the clients to all of them
}

// HarnessCost is what the harness itself used.
type HarnessCost struct {
	CPUPerDelivery float64 `json:"cpu_us_per_delivery"`
}

// Detail is what a reader of the figures may want to know beside them.
type Detail struct {
	ClientsWanted     int         `json:"clients_wanted"`
	Disconnected      int64       `json:"disconnected"`        // clients whose connection ended early
	Unexpected        int64       `json:"unexpected"`          // messages that nobody asked for or published
	Rejected          int64       `json:"rejected"`            // answers of the publish port, each a failure
	FramePayloadBytes float64     `json:"frame_payload_bytes"` // mean, of delivered events
	FirstLatency      Percentiles `json:"latency_first_ms"`    // of each event's first subscriber
	LastLatency       Percentiles `json:"latency_last_ms"`     // of each event's last subscriber
	ServerBusy        *float64    `json:"server_cpu_share"`    // of one processor, in the event phase
	HarnessBusy       float64     `json:"harness_cpu_share"`   // of one processor, in the event phase
	ServerBaseKB      *int64      `json:"server_base_rss_kb"`  // before the first client
	Ended             string      `json:"ended"`               // why the run ended before its last event; empty if it did not
	Notes             []string    `json:"notes"`               // the first few faults
	Warnings          []string    `json:"warnings"`            // reasons to doubt the figures
}

// Fault returns an error that says what is wrong with what arrived; nil if
// every event reached every subscriber once, in order and intact, or was told of.
func (r *Result) Fault() error {
	var faults []error
	add := func(count int64, what string) {
		if count > 0 {
			faults = append(faults, fmt.Errorf("%d %s", count, what))
		}
	}
	add(int64(r.Detail.ClientsWanted-r.Clients), "clients not connected")
	add(r.Detail.Disconnected, "clients disconnected")
	add(r.Lost, "events lost")
	add(r.Duplicated, "events duplicated")
	add(r.Reordered, "events reordered")
	add(r.Corrupted, "events corrupted")
	add(r.Detail.Unexpected, "messages unexpected")
	add(r.Detail.Rejected, "events rejected by the publish port")
	if r.Detail.Ended != "" {
		faults = append(faults, errors.New(r.Detail.Ended))
	}
	return errors.Join(faults...)
}

// busyShare is the share of a processor beyond which the harness may have been
// what limited the run.
const busyShare = 0.9

// judge adds warnings.
func (r *Result) judge(loops int) {
	d := &r.Detail
	if d.HarnessBusy > busyShare*float64(loops) && (d.ServerBusy == nil || *d.ServerBusy < d.HarnessBusy) {
		d.Warnings = append(d.Warnings, fmt.Sprintf(
			"the harness used %.0f %% of a processor: it may have been the bottleneck, and latencies hold its own delays",
			100*d.HarnessBusy))
	}
}
