package shard

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fleetcast/gateway/stats"
	"fleetcast/gateway/stream"
	"fleetcast/gateway/stream/streamtest"
)

// TestSampleOfSendTimeout has the kernel give a client up: the log line has what waited
// for it, and for which channel, as that of a slow client has.
func TestSampleOfSendTimeout(t *testing.T) {
	s := newTestShard(t)
	c := newTestSession(t, s)
	c.id = 1
	c.lag()
	c.queue([]*stream.Event{streamtest.New("news").Next("", "1")}, stream.FormatPlain, 0)
	c.conn.Close(unix.ETIMEDOUT)
	s.Loop.Close() // which has it end
	kept := s.Samples[stats.IncidentKey{Metric: stats.MetricDisconnects, Label: DisconnectNames[SendTimeout]}]
	if kept == nil {
		t.Fatal("there is no sample")
	}
	var text strings.Builder
	for _, attr := range kept.Shown("") {
		text.WriteString(attr.String())
	}
	for _, part := range []string{"client=", "channel=news", "backlog_bytes=", "oldest="} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the sample has no %q: %s", part, text.String())
		}
	}
	if strings.Contains(text.String(), "address=") {
		t.Errorf("the sample has an address, which nobody knows any more: %s", text.String())
	}
}
