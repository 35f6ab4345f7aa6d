package compare

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// probeEvents is how many events tell the size of a peer's frames.
const probeEvents = 10

// setting is one kind of run that servers are compared in.
type setting struct {
	name    string
	kind    string // name for all of its kind
	events  bool   // events are published, of a size that must be equal
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
		kind: "connect",
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
	echoSetting("64k", "64 KiB", 64<<10, 6000),
	echoSetting("256k", "256 KiB", 256<<10, 3000),
	echoSetting("1m", "1 MiB", 1<<20, 1000),
	echoSetting("4m", "4 MiB", 4<<20, 250),
	echoSetting("16m", "16 MiB", 16<<20, 60),
	echoSetting("binary-64k", "64 KiB, binary", 64<<10, 6000, "--binary"),
	echoSetting("binary-1m", "1 MiB, binary", 1<<20, 1000, "--binary"),
	echoSetting("binary-16m", "16 MiB, binary", 16<<20, 60, "--binary"),
}

// echoKind is the kind of settings in which only servers take part that say so:
// one that broadcasts need not echo.
const echoKind = "echo"

// echoSetting is one client that sends messages of a size, each when it has the
// one before it back: text, unless there is an option to the harness that says
// otherwise.
func echoSetting(name, title string, size, messages int, option ...string) setting {
	return setting{
		name: echoKind + "-" + name,
		kind: echoKind,
		figures: []figure{
			{"echo_ms_p50", "p50 of an echo of " + title, "ms", func(o *outcome) *float64 { return o.Latency.P50 }},
			{"echo_ms_p99", "p99 of an echo of " + title, "ms", func(o *outcome) *float64 { return o.Latency.P99 }},
			{"cpu_us_per_echo", "CPU per echo of " + title, "µs", func(o *outcome) *float64 { return o.Server.CPUPerDelivery }},
		},
		load: func(*Config, int) []string {
			return append([]string{"echo", "--settle=300ms", "--clients=1", "--window=1",
				"--messages=" + strconv.Itoa(messages), "--payload=" + strconv.Itoa(size)}, option...)
		},
	}
}

// windowSetting is a fan-out to all clients with so many events in flight, and
// times as many events as were asked for.
func windowSetting(window, times int) setting {
	in := fmt.Sprintf(", %d in flight", window)
	return setting{
		name:   fmt.Sprintf("window-%d", window),
		kind:   "window",
		events: true,
		figures: []figure{
			{"cpu_us_per_delivery", "CPU per delivery" + in, "µs", func(o *outcome) *float64 { return o.Server.CPUPerDelivery }},
			{"latency_ms_p50", "p50" + in, "ms", func(o *outcome) *float64 { return o.Latency.P50 }},
			{"latency_ms_p99", "p99" + in, "ms", func(o *outcome) *float64 { return o.Latency.P99 }},
			{framePayload, "frame payload" + in, "B", func(o *outcome) *float64 { return &o.Detail.FramePayloadBytes }},
		},
		load: func(c *Config, payload int) []string {
			return fanout(c.Clients, times*c.Events, window, payload)
		},
	}
}

// framePayload is a figure that is told only of servers that compress: others'
// frames are made to be equal.
const framePayload = "frame_payload_bytes"

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

// isSetting tells whether there is a setting, or a kind of them, of that name.
func isSetting(name string) bool {
	return slices.ContainsFunc(allSettings, func(s setting) bool { return s.goesBy(name) })
}

// goesBy tells whether a name is the setting's own or that of its kind.
func (s *setting) goesBy(name string) bool { return name == s.name || name == s.kind }

// amongst tells whether the setting is one of those named.
func (s *setting) amongst(names []string) bool { return slices.ContainsFunc(names, s.goesBy) }

// settingNames lists the settings, each kind of several with its name.
func settingNames() string {
	var list []string
	for i := range allSettings {
		if s := &allSettings[i]; s.kind != s.name && !slices.Contains(list, s.kind) {
			list = append(list, s.kind)
		}
		list = append(list, allSettings[i].name)
	}
	return strings.Join(list, ", ")
}

// brief is an outcome's figures in a few words.
func (s *setting) brief(o *outcome) string {
	var parts []string
	for _, f := range s.figures {
		if value := f.of(o); value != nil && f.name != framePayload {
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
		Compressing       int      `json:"compressed_clients"`
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
