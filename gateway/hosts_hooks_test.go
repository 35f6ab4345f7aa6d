package gateway

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A name that is refused after another is told, too: within a minute.
func TestHostWarnings(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	var w hostWarnings
	began := time.Now()
	for _, refused := range []struct {
		after time.Duration
		host  string
	}{{0, "evil.example"}, {time.Second, "fleetcast:8081"}, {16 * time.Second, "fleetcast:8081"}, {incidentInterval, "evil.example"}, {incidentInterval + 1, "last"}} {
		w.warn(logger, refused.host, began.Add(refused.after))
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "count=1 hosts=evil.example ") || !strings.Contains(lines[1], `count=3 hosts="fleetcast:8081, evil.example" `) {
		t.Errorf("the log is\n%s", &log)
	}
}
