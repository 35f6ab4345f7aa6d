package loadtest

import (
	"errors"
	"fmt"
	"time"
)

// Result is what a run found. Its JSON form is what scripts rely on.
type Result struct {
	Scenario   string `json:"scenario"`
	Clients    int    `json:"clients"`    // that were connected and subscribed
	Events     int64  `json:"events"`     // published; messages sent, in the scenario echo
	Delivered  int64  `json:"delivered"`  // arrivals of intact events, each event once per subscriber
	Lost       int64  `json:"lost"`       // events that a subscriber never got
	Duplicated int64  `json:"duplicated"` // arrivals of an event that had arrived before
	Reordered  int64  `json:"reordered"`  // events that came after a later one of their channel
	Corrupted  int64  `json:"corrupted"`  // events whose data or offset is not what was published
	Gaps       int64  `json:"gaps"`       // events that the server said it would not deliver; these are not lost
	InFlight   int64  `json:"in_flight"`  // deliveries that were under way when the run was cut short; these are not lost
	Incomplete string `json:"incomplete"` // why the run was cut short; empty if it was not

	Seconds             float64     `json:"seconds"` // from the first event's due time to the last arrival, of the whole run
	EventsPerSecond     float64     `json:"events_per_second"`
	DeliveriesPerSecond float64     `json:"deliveries_per_second"`
	Latency             Percentiles `json:"latency_ms"`   // of all deliveries to the clients that the scenario measures
	Handshake           Percentiles `json:"handshake_ms"` // from dialling to the subscription's answer, of all connections made
	Pong                Percentiles `json:"pong_ms"`      // from a ping's due time to its pong, of the clients that the scenario has ping, while it measures
	Server              ServerCost  `json:"server"`
	Harness             HarnessCost `json:"harness"`
	Phases              []Phase     `json:"phases"` // of a scenario that compares several; empty otherwise
	Missed              []string    `json:"missed"` // thresholds that were asked for and missed; the caller of the scenario fills it in
	Detail              Detail      `json:"detail"`
	Run                 RunInfo     `json:"run"`
	Timeline            []Sample    `json:"timeline"`
}

// ServerCost is what the server used; nil where it was not measured.
type ServerCost struct {
	PID                     int       `json:"pid"`                   // 0: none was found or told
	Processes               []Process `json:"processes"`             // all that the cost is of; none if it was not measured
	Found                   string    `json:"found"`                 // by what: that they listen on the port, or that they were named
	CPUPerDelivery          *float64  `json:"cpu_us_per_delivery"`   // while events flowed
	CPUPerEvent             *float64  `json:"cpu_us_per_event"`      // the same, by events published meanwhile, on all channels
	CPUPerConnection        *float64  `json:"cpu_us_per_connection"` // while clients connected, subscription included
	ResidentKB              *int64    `json:"rss_kb"`                // with all clients connected and nothing going on
	ResidentBaseKB          *int64    `json:"rss_base_kb"`           // before the first client
	ResidentPeakKB          *int64    `json:"rss_peak_kb"`           // the most in the run, between samples too if it was never more before
	ResidentKBPerConnection *float64  `json:"rss_kb_per_connection"` // slope from a third of the clients to all of them
	// SocketKBPerConnection is what the kernel holds in TCP buffers per
	// connection, both ends if both are on this machine, while nothing goes on.
	SocketKBPerConnection *float64 `json:"kernel_socket_kb_per_connection"`
	// SocketPeakKB is the most that all TCP buffers of the machine held.
	SocketPeakKB *int64 `json:"kernel_socket_peak_kb"`
}

// Process is one process of the server.
type Process struct {
	PID     int    `json:"pid"`
	Command string `json:"command"` // what it was started with, cut where it is long
}

// HarnessCost is what the harness itself used, all of its processes together.
type HarnessCost struct {
	CPUPerDelivery float64 `json:"cpu_us_per_delivery"`
}

// Phase is one of the parts of a run that are compared with one another.
type Phase struct {
	Name                string      `json:"name"`
	Seconds             float64     `json:"seconds"`
	Delivered           int64       `json:"delivered"` // to the clients that are measured, as in DeliveriesPerSecond
	Latency             Percentiles `json:"latency_ms"`
	Handshake           Percentiles `json:"handshake_ms"`     // of connections made in it
	Pong                Percentiles `json:"pong_ms"`          // of pings answered in it
	Recovery            Percentiles `json:"recovery_ms"`      // from dialling until a client has all that it had missed
	ServerBusy          *float64    `json:"server_cpu_share"` // of one processor
	ServerSeconds       *float64    `json:"server_cpu_seconds"`
	DeliveriesPerSecond float64     `json:"deliveries_per_second"`
}

// Detail is what a reader of the figures may want to know beside them.
type Detail struct {
	ClientsWanted     int       `json:"clients_wanted"`
	Connected         int64     `json:"connected"`            // connections made in all: more than clients if some came back
	Refused           int64     `json:"refused"`              // attempts to connect that failed
	TurnedAway        int64     `json:"turned_away"`          // attempts that were answered with 503 or 429 and a time to come back at, which clients obey; not among those refused
	Disconnected      int64     `json:"disconnected"`         // clients whose connection the server ended unasked
	Unexpected        int64     `json:"unexpected"`           // messages that nobody asked for or published
	Taken             int64     `json:"taken"`                // events that the server took, as far as is known
	Rejected          int64     `json:"rejected"`             // events that the server answered with an error; these are not lost
	NotTaken          int64     `json:"not_taken"`            // events that did not reach the server, or that it never answered, and that no client got; these are not lost
	Pings             int64     `json:"pings"`                // that clients sent, for the scenario
	Unanswered        int64     `json:"unanswered"`           // of those, the ones that got no pong
	GapMessages       int64     `json:"gap_messages"`         // messages that told of gaps
	GapWrong          int64     `json:"gap_wrong"`            // of those, the ones that tell of what came before them, was told of or never published
	GapSplit          int64     `json:"gap_split"`            // of those, the ones that follow another without an event between the two
	NewestDropped     int64     `json:"newest_dropped"`       // events told of as gaps that were the newest of their key
	Recovery          *Recovery `json:"recovery"`             // nil: no client came back with a position
	Compressing       int       `json:"compressed_clients"`   // clients, of those connected, whose server agreed to compress
	Declined          int64     `json:"compression_declined"` // handshakes in which it was offered and the server did not agree
	FramePayloadBytes float64   `json:"frame_payload_bytes"`  // mean, of delivered events, as they arrived
	// The same, of those delivered to clients that agreed on compression, and of
	// the others; 0 if there were none.
	CompressedPayloadBytes float64     `json:"frame_payload_bytes_compressed"`
	PlainPayloadBytes      float64     `json:"frame_payload_bytes_plain"`
	FirstLatency           Percentiles `json:"latency_first_ms"`  // of each event's first subscriber
	LastLatency            Percentiles `json:"latency_last_ms"`   // of each event's last subscriber
	ServerBusy             *float64    `json:"server_cpu_share"`  // of one processor, while events flowed
	HarnessBusy            float64     `json:"harness_cpu_share"` // of one processor, while events flowed
	Figures                []Figure    `json:"figures"`           // of the scenario's own
	Ended                  string      `json:"ended"`             // why the run ended early; empty if it did not
	Notes                  []string    `json:"notes"`             // the first fault of each kind, in a line each
	Examples               []Example   `json:"examples"`          // the same, in parts
	Warnings               []string    `json:"warnings"`          // reasons to doubt the figures
}

// Figure is one more figure of a scenario: the time to full service, say.
type Figure struct {
	Name  string  `json:"name"` // as thresholds name it: seconds_to_full_service
	Title string  `json:"title"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// RunInfo says what was run, for readers who were not there.
type RunInfo struct {
	Command    Words       `json:"command"` // the command line; empty if the library was called
	Started    time.Time   `json:"started"`
	URL        string      `json:"url"`
	Publish    string      `json:"publish"` // where events were published; empty if there were none or a WebSocket served
	Profile    string      `json:"profile"`
	Parameters []Parameter `json:"parameters"`
	Machine    string      `json:"machine"` // processors, kernel
}

// Parameter is one setting of a run.
type Parameter struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Sample is what was seen at one moment of a run. Counts are cumulative, the
// rest is of the time since the sample before.
type Sample struct {
	At         float64     `json:"at"` // seconds since the run's start
	Phase      string      `json:"phase"`
	Clients    int         `json:"clients"` // that are connected and subscribed
	Wanted     int         `json:"wanted"`  // that should be
	Events     int64       `json:"events"`
	Planned    int64       `json:"planned"` // events in all; 0 if not known
	Delivered  int64       `json:"delivered"`
	Faults     int64       `json:"faults"`     // duplicated, reordered, corrupted, unexpected, disconnected, gaps that are wrong
	Missing    int64       `json:"missing"`    // skipped so far: lost, unless they come late
	Latency    Percentiles `json:"latency_ms"` // all 0 if nothing was delivered
	ServerBusy float64     `json:"server_cpu_share"`
	ServerKB   int64       `json:"server_rss_kb"`
	SocketKB   int64       `json:"kernel_socket_kb"`
	OwnBusy    float64     `json:"harness_cpu_share"`
}

// Fault returns an error that says what is wrong with what arrived; nil if
// every event reached every subscriber once, in order and intact, or was told of.
func (r *Result) Fault() error {
	var faults []error
	for _, f := range r.Faults() {
		faults = append(faults, fmt.Errorf("%d %s", f.Count, f.What))
	}
	if r.Detail.Ended != "" {
		faults = append(faults, errors.New(r.Detail.Ended))
	}
	return errors.Join(faults...)
}

// FaultCount is a kind of fault that occurred.
type FaultCount struct {
	Name  string // as thresholds name it
	Count int64
	What  string // for people
}

// Faults lists the kinds of faults that occurred.
func (r *Result) Faults() (faults []FaultCount) {
	recovery := r.Detail.Recovery
	if recovery == nil {
		recovery = &Recovery{}
	}
	for _, f := range []FaultCount{
		{"missing_clients", r.missingClients(), "clients not connected"},
		{"disconnected", r.Detail.Disconnected, "clients disconnected"},
		{"lost", r.Lost, "events lost"},
		{"duplicated", r.Duplicated, "events duplicated"},
		{"reordered", r.Reordered, "events reordered"},
		{"corrupted", r.Corrupted, "events corrupted"},
		{"unexpected", r.Detail.Unexpected, "messages unexpected"},
		{"gap_wrong", r.Detail.GapWrong, "gaps that contradict what came before them"},
		{"gap_split", r.Detail.GapSplit, "gaps split in two"},
		{"newest_dropped", r.Detail.NewestDropped, "events dropped that were the newest of their key"},
		{"recovery_wrong", recovery.Wrong, "recoveries that are not what the server said"},
		{"lost_wrong", recovery.LostWrong, "losses that the server told wrongly"},
		{"unanswered", r.Detail.Unanswered, "pings without a pong"},
		{"rejected", r.Detail.Rejected, "events rejected by the server"},
		{"not_taken", r.Detail.NotTaken, "events not taken by the server"},
	} {
		if f.Count > 0 {
			faults = append(faults, f)
		}
	}
	return faults
}

// missingClients is how many clients should be connected and are not. In a run that
// was cut short, some may not have tried.
func (r *Result) missingClients() int64 {
	missing := int64(r.Detail.ClientsWanted - r.Clients)
	if r.Incomplete != "" {
		return min(missing, r.Detail.Refused)
	}
	return missing
}
