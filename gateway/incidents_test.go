package gateway

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway/admin"
	"fleetcast/gateway/stats"
)

// TestEveryRefusalHasALine walks the tables of metrics: each counter either has a
// log line, or a reason why not. Counters of what is no refusal are listed here.
func TestEveryRefusalHasALine(t *testing.T) {
	noRefusals := map[string]bool{
		"tokens_accepted_total": true, "token_verifications_total": true, "token_cache_hits_total": true, "token_cache_misses_total": true,
		"token_key_fetches_total": true, "token_key_fetch_failures_total": true, "connect_hook_opened_total": true, "subscribe_hook_opened_total": true,
		"client_connections_accepted_total": true, "client_received_bytes_total": true, "client_sent_bytes_total": true,
		"client_messages_total": true, "client_published_events_total": true, "shard_events_total": true, "deliveries_total": true,
		"gaps_total": true, "recovered_events_total": true, "history_framed_events_total": true, "writes_total": true, "fan_out_cuts_total": true, "read_cuts_total": true,
		"compressed_events_total": true, "compression_input_bytes_total": true, "compression_output_bytes_total": true,
		"publish_requests_total": true, "publish_events_total": true, "publish_received_bytes_total": true, "publish_reply_bytes_total": true,
		"publish_read_cuts_total": true, "publish_duplicates_total": true, "client_duplicate_events_total": true,
	}
	check := func(key stats.IncidentKey) {
		_, logged := incidentKinds[key]
		switch why := notIncidents[key]; {
		case logged && why != "":
			t.Errorf("%v is in both tables", key)
		case !logged && why == "":
			t.Errorf("%v has no line: add it to incidentKinds, or to notIncidents with the reason", key)
		case logged && incidentMessages[key.Metric] == "":
			t.Errorf("%v has no message", key)
		}
	}
	// Whom these count, the handshakes or the commands count too, or they are no refusals.
	countedElsewhere := map[string]bool{stats.MetricTokensRefused: true, stats.MetricConnectHook: true, stats.MetricSubscribeHook: true, stats.MetricRecoveries: true}
	known := make(map[stats.IncidentKey]bool)
	for _, m := range stats.Metrics() {
		if countedElsewhere[m.Name] {
			continue
		}
		for _, value := range admin.LabelValues[m.Name] {
			known[stats.IncidentKey{Metric: m.Name, Label: value}] = true
			check(stats.IncidentKey{Metric: m.Name, Label: value})
		}
		switch {
		case m.Label != "" && len(admin.LabelValues[m.Name]) == 0:
			t.Errorf("labelValues has no values of %s", m.Name)
		case m.Label == "" && m.Kind == stats.Counter && !noRefusals[m.Name]:
			known[stats.IncidentKey{Metric: m.Name, Label: ""}] = true
			check(stats.IncidentKey{Metric: m.Name, Label: ""})
		}
	}
	for key := range incidentKinds {
		if !known[key] {
			t.Errorf("no metric counts %v", key)
		}
	}
	for key := range notIncidents {
		if !known[key] {
			t.Errorf("no metric counts %v", key)
		}
	}
}

// countIn sets a counter to n.
func countIn(to *GatewayStats, key stats.IncidentKey, n uint64) {
	switch key.Metric {
	case stats.MetricDisconnects:
		to.Total.Disconnects[key.Label] = n
	case stats.MetricHandshakes:
		to.Total.HandshakeFailures[key.Label] = n
	case stats.MetricCommandErrors:
		to.Total.CommandErrors[key.Label] = n
	case stats.MetricPublishErrors:
		to.Publish.Errors[key.Label] = n
	case stats.MetricPublishers:
		to.Publish.Refused[key.Label] = n
	case stats.MetricPublishersEnded:
		to.Publish.Ended[key.Label] = n
	case stats.MetricDropped:
		to.Total.Dropped = n
	case stats.MetricStreamsEvicted:
		to.Publish.StreamsEvicted = n
	case stats.MetricEventsUnkept:
		to.Publish.EventsUnkept = n
	case stats.MetricHistoryEvicted:
		to.Publish.HistoryEvicted = n
	case stats.MetricTextsEvicted:
		to.Publish.TextsEvicted = n
	case stats.MetricThrottles:
		to.Total.Throttles = n
	case stats.MetricAdminRefused:
		to.AdminRefused[key.Label] = n
	case stats.CreditWaits:
		to.Total.CreditWait = float64(n)
	case stats.MetricAddressesUnknown:
		to.Total.AddressesUnknown = n
	}
}

// TestIncidentLines has each kind of incident go on for some minutes: one line at
// the first second, then one a minute with what has come since, and no case that no
// line counts.
func TestIncidentLines(t *testing.T) {
	for key, kind := range incidentKinds {
		var text bytes.Buffer
		in := newIncidents(slog.New(slog.NewTextHandler(&text, nil)))
		stats := &GatewayStats{Total: stats.NewShard(), Publish: stats.NewPublish(), AdminRefused: make(map[string]uint64)}
		lines := func() []string {
			found := strings.Split(strings.TrimSpace(text.String()), "\n")
			text.Reset()
			return found
		}
		wants := func(at time.Duration, parts ...string) {
			t.Helper()
			found := lines()
			level := "level=WARN"
			if kind.usual {
				level = "level=INFO"
			}
			for _, part := range append(parts, level, incidentMessages[key.Metric]) {
				if len(found) != 1 || !strings.Contains(found[0], part) {
					t.Fatalf("%v: after %v the log has %q, want a line with %q", key, at, found, part)
				}
			}
			if !strings.Contains(found[0], key.Label) {
				t.Errorf("%v: the line %q does not name it", key, found[0])
			}
		}
		n := uint64(0)
		look := func(second int) {
			countIn(stats, key, n)
			in.observe(stats, time.Duration(second)*time.Second, false)
		}
		look(1)
		if text.Len() > 0 {
			t.Fatalf("%v: without an incident the log has %s", key, text.String())
		}
		n = 3
		look(2)
		wants(2*time.Second, "count=3", "total=3")
		n = 5
		for second := 3; second < 62; second++ {
			look(second)
		}
		if text.Len() > 0 {
			t.Fatalf("%v: within the minute the log has %s", key, text.String())
		}
		look(62)
		wants(time.Minute, "count=2", "total=5", "over=1m0s")
		for second := 63; second < 200; second++ { // nothing happens
			look(second)
		}
		if text.Len() > 0 {
			t.Fatalf("%v: afterwards the log has %s", key, text.String())
		}
		n = 6
		look(200)
		if wants(200*time.Second, "count=1", "total=6"); strings.Contains(text.String(), "over=") {
			t.Errorf("%v: a first one has a time before it: %s", key, text.String())
		}
		n = 8
		countIn(stats, key, n)
		in.observe(stats, 201*time.Second, true) // the end
		wants(201*time.Second, "count=2", "total=8")
	}
}

// What is counted elsewhere too, or is no refusal, has no line.
func TestNoIncidents(t *testing.T) {
	var text bytes.Buffer
	in := newIncidents(slog.New(slog.NewTextHandler(&text, nil)))
	all := &GatewayStats{Total: stats.NewShard(), Publish: stats.NewPublish()}
	for _, counts := range []*map[string]uint64{&all.Tokens.Refused, &all.ConnectHook.Requests, &all.Total.Recoveries} {
		*counts = map[string]uint64{"any": 1000}
	}
	all.Total.EventsRecovered = 1000
	in.observe(all, time.Second, true)
	if text.Len() > 0 {
		t.Errorf("the log is\n%s", text.String())
	}
}

// What single clients bring about every day is a warning at once when it is many.
func TestManyUsualIncidents(t *testing.T) {
	var text bytes.Buffer
	in := newIncidents(slog.New(slog.NewTextHandler(&text, nil)))
	stats := &GatewayStats{Total: stats.NewShard(), Publish: stats.NewPublish(), AdminRefused: make(map[string]uint64)}
	stats.Total.Clients = 5000 // of which a hundredth is many
	for second, n := range []uint64{0, 1, 50, 51, 500, 1000} {
		stats.Total.Disconnects["ping_timeout"] = n
		in.observe(stats, time.Duration(second)*time.Second, false)
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "level=INFO") || !strings.Contains(lines[0], "count=1 ") ||
		!strings.Contains(lines[1], "level=WARN") || !strings.Contains(lines[1], "count=50 ") {
		t.Errorf("the log is\n%s", text.String())
	}
}

// A line has somebody whom it concerns, and the different origins, however long
// before the line that was.
func TestSamples(t *testing.T) {
	var text bytes.Buffer
	in := newIncidents(slog.New(slog.NewTextHandler(&text, nil)))
	sum := &GatewayStats{Total: stats.NewShard(), Publish: stats.NewPublish(), AdminRefused: make(map[string]uint64)}
	key := stats.IncidentKey{Metric: stats.MetricHandshakes, Label: "forbidden_origin"}
	for _, origin := range []string{"https://a.example", "https://b.example", "https://a.example", strings.Repeat("é", 500)} {
		var kept stats.Samples
		kept.Keep(key, slog.String("address", "192.0.2.1:5"))
		if kept.Wants(key) {
			t.Error("a second sample is wanted")
		}
		kept.Name(key, stats.Clip(origin))
		in.sampled(kept.Take())
		if kept != nil {
			t.Error("what was taken is still there")
		}
	}
	sum.Total.HandshakeFailures["forbidden_origin"] = 4
	in.observe(sum, time.Second, false)
	for _, part := range []string{"count=4", "https://a.example, https://b.example, é", "example.address=192.0.2.1:5", "--allow-origin"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the line has no %q: %s", part, text.String())
		}
	}
	if text.Len() > 900 {
		t.Errorf("a long origin makes a line of %d bytes", text.Len())
	}
}
