package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"fleetcast/cmd/internal/options"
)

// records decodes a log in JSON.
func records(t *testing.T, text string) (found []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		found = append(found, record)
	}
	return found
}

// recordOf returns the record with that message.
func recordOf(t *testing.T, text, message string) map[string]any {
	t.Helper()
	for _, record := range records(t, text) {
		if record["msg"] == message {
			return record
		}
	}
	t.Fatalf("no record says %q:\n%s", message, text)
	return nil
}

// addressesOf reads the value of an attribute that lists addresses. Each must be
// one that can be opened: a host by number and a port that is not 0.
func addressesOf(t *testing.T, value any) (addrs []netip.AddrPort) {
	t.Helper()
	text, _ := value.(string)
	for one := range strings.SplitSeq(text, ", ") {
		addr, err := netip.ParseAddrPort(one)
		if err != nil || addr.Port() == 0 {
			t.Errorf("%q in %v is no address that was opened: %v", one, value, err)
		}
		addrs = append(addrs, addr)
	}
	return addrs
}

// A running gateway in JSON: each line is an object, times are text, and addresses
// are those that were opened.
func TestJSONLog(t *testing.T) {
	c := start(t, nil, "--log-format=json", "--listen=localhost:0", "--publish=localhost:0", "--admin=off", "--max-clients=7", "--drain-timeout=90s")
	c.err.await(t, `"running".*\n`)
	running := recordOf(t, c.err.String(), "running")
	if clients, _ := running["clients"].(string); running["level"] != "INFO" || !strings.HasPrefix(clients, "ws://localhost:") ||
		running["admin"] != "off" || running["max_clients"] != 7.0 {
		t.Errorf("record %v", running)
	}
	loopback := 1
	if options.HasIPv6() {
		loopback = 2
	}
	for _, port := range []string{"listen", "publish"} {
		if addrs := addressesOf(t, running[port]); len(addrs) != loopback {
			t.Errorf("%s is %v, want %d addresses", port, running[port], loopback)
		}
	}
	c.stop()
	if code := c.wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	var timeouts []any
	for _, record := range records(t, c.err.String()) {
		for key, value := range record {
			if number, ok := value.(float64); ok && number > 1e6 {
				t.Errorf("%v: %s looks like nanoseconds", record, key)
			}
		}
		if value, ok := record["drain_timeout"]; ok {
			timeouts = append(timeouts, value)
		}
	}
	if len(timeouts) == 0 || timeouts[0] != "1m30s" {
		t.Errorf("drain_timeout is %v", timeouts)
	}
	if out := c.out.String(); out != "" {
		t.Errorf("output %q", out)
	}
}

// Both formats write the same text for a duration, also within a group.
func TestDurationsInLogs(t *testing.T) {
	level := slog.LevelInfo
	for _, d := range []time.Duration{0, time.Nanosecond, 1500 * time.Millisecond, 90 * time.Second, -time.Hour} {
		var text, inJSON bytes.Buffer
		for format, out := range map[bool]*bytes.Buffer{false: &text, true: &inJSON} {
			newLogger(out, options.LogFormat{JSON: format}, level).With("with", d).Info("x", "plain", d, slog.Group("in", "group", d))
		}
		if got := strings.Count(text.String(), "="+d.String()); got != 3 {
			t.Errorf("text %q has %v %d times", text.String(), d, got)
		}
		if got := strings.Count(inJSON.String(), `:"`+d.String()+`"`); got != 3 {
			t.Errorf("JSON %q has %v %d times", inJSON.String(), d, got)
		}
	}
}
