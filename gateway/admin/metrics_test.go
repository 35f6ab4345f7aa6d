package admin

import (
	"testing"

	"fleetcast/gateway/stats"

	"github.com/prometheus/client_golang/prometheus"
)

// TestMetricsOfPressure covers what is 0 unless a gateway is under pressure,
// which a test of a running one cannot hold still.
func TestMetricsOfPressure(t *testing.T) {
	of := &stats.Gateway{
		Total:   stats.Shard{BacklogBytes: 5, FanOutCuts: 6, Lagging: 12, Paused: 9, MailboxDepth: 10, QueuedEvents: 11},
		Publish: stats.Publish{Paused: 7, CreditsUsed: 8},
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&statsCollector{stats: of})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, family := range families {
		metric := family.GetMetric()[0]
		got[family.GetName()] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
	}
	for name, want := range map[string]float64{
		"fleetcast_backlog_bytes": 5, "fleetcast_fan_out_cuts_total": 6,
		"fleetcast_clients_lagging": 12, "fleetcast_clients_paused": 9, "fleetcast_shard_mailbox_depth": 10, "fleetcast_shard_queued_events": 11,
		"fleetcast_publishers_paused": 7, "fleetcast_credits_used_bytes": 8,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}
