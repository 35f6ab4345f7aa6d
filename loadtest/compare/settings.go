package compare

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// probeEvents is how many events tell the size of a peer's frames.
const probeEvents = 10

// setting is one kind of run that servers are compared in.
type setting struct {
	name    string
	events  bool // events are published, of a size that must be equal
	figures []figure
	load    func(c *Config, payload int) []string // the harness's command
}

// figure is something that servers are compared by.
type figure struct {
	name  string // in JSON
	title string
	unit  string
	of    func(*outcome) *float64 // nil where it was not measured
}

var allSettings = []setting{
	windowSetting(1, 1),
	windowSetting(32, 10),
	{
		name: "connect",
		figures: []figure{
			{"rss_kb_per_connection", "memory per connection", "kB", func(o *outcome) *float64 { return o.Server.ResidentKBPerConnection }},
			{"rss_base_kb", "memory before the first", "kB", func(o *outcome) *float64 { return o.Server.ResidentBaseKB }},
			{"cpu_us_per_connection", "CPU per connection", "µs", func(o *outcome) *float64 { return o.Server.CPUPerConnection }},
			{"handshake_ms_p50", "p50 of a handshake", "ms", func(o *outcome) *float64 { return o.Handshake.P50 }},
			{"handshake_ms_p99", "p99 of a handshake", "ms", func(o *outcome) *float64 { return o.Handshake.P99 }},
		},
		load: func(c *Config, _ int) []string {
			return []string{"connect", "--hold=1s", "--clients=" + strconv.Itoa(c.Connections)}
		},
	},
}

// windowSetting is a fan-out to all clients with so many events in flight, and
// times as many events as were asked for.
func windowSetting(window, times int) setting {
	in := fmt.Sprintf(", %d in flight", window)
	return setting{
		name:   fmt.Sprintf("window-%d", window),
		events: true,
		figures: []figure{
			{"cpu_us_per_delivery", "CPU per delivery" + in, "µs", func(o *outcome) *float64 { return o.Server.CPUPerDelivery }},
			{"latency_ms_p50", "p50" + in, "ms", func(o *outcome) *float64 { return o.Latency.P50 }},
			{"latency_ms_p99", "p99" + in, "ms", func(o *outcome) *float64 { return o.Latency.P99 }},
		},
		load: func(c *Config, payload int) []string {
			return fanout(c.Clients, times*c.Events, window, payload)
		},
	}
}

func fanout(clients, events, window, payload int) []string {
	return []string{"fanout", "--settle=300ms",
		"--clients=" + strconv.Itoa(clients), "--events=" + strconv.Itoa(events),
		"--window=" + strconv.Itoa(window), "--payload=" + strconv.Itoa(payload)}
}

func findSetting(name string) *setting {
	for i := range allSettings {
		if allSettings[i].name == name {
			return &allSettings[i]
		}
	}
	return nil
}

func settingNames() string {
	var list []string
	for i := range allSettings {
		list = append(list, allSettings[i].name)
	}
	return strings.Join(list, ", ")
}

// brief is an outcome's figures in a few words.
func (s *setting) brief(o *outcome) string {
	var parts []string
	for _, f := range s.figures {
		if value := f.of(o); value != nil {
			parts = append(parts, number(*value)+" "+f.unit)
		}
	}
	if o.fault != "" {
		parts = append(parts, "faults")
	}
	return strings.Join(parts, " ")
}

// outcome is what is read of the harness's JSON result. What was not measured
// is nil.
type outcome struct {
	Latency   percentiles `json:"latency_ms"`
	Handshake percentiles `json:"handshake_ms"`
	Server    struct {
		CPUPerDelivery          *float64 `json:"cpu_us_per_delivery"`
		CPUPerConnection        *float64 `json:"cpu_us_per_connection"`
		ResidentBaseKB          *float64 `json:"rss_base_kb"`
		ResidentKBPerConnection *float64 `json:"rss_kb_per_connection"`
	} `json:"server"`
	Detail struct {
		FramePayloadBytes float64  `json:"frame_payload_bytes"`
		Warnings          []string `json:"warnings"`
	} `json:"detail"`

	fault string // what the verification found; empty if nothing
}

type percentiles struct {
	P50 *float64 `json:"p50"`
	P99 *float64 `json:"p99"`
}

// envelope is what the frames of a run with so much data an event had beside it,
// in bytes.
func (o *outcome) envelope(payload int) int {
	return int(math.Round(o.Detail.FramePayloadBytes)) - payload
}
