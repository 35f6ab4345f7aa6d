package gateway

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metricsHandler serves /metrics. Each scrape asks the loops for their counters
// once, so the values of one answer belong together and the loops do nothing
// between scrapes. It may be called from any goroutine.
type metricsHandler struct {
	gateway  *Gateway
	patience time.Duration        // how long the loops may take to answer
	process  *prometheus.Registry // what does not come from the loops
}

func newMetricsHandler(g *Gateway, admin Admin) *metricsHandler {
	process := prometheus.NewRegistry()
	process.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "fleetcast_log_lines_lost_total",
			Help: "Lines of the log that could not be written, or were not read in time.",
		}, func() float64 {
			if admin.LogLinesLost == nil {
				return 0
			}
			return float64(admin.LogLinesLost())
		}),
	)
	return &metricsHandler{gateway: g, patience: admin.Patience, process: process}
}

// ServeHTTP answers with 503 and the reason if a loop does not answer in
// time: half an answer would look like lost clients.
func (h *metricsHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), h.patience)
	defer cancel()
	stats, err := h.gateway.Stats(ctx)
	if err != nil {
		answer(w, http.StatusServiceUnavailable, fmt.Sprintf("no metrics: %v", err))
		return
	}
	loops := prometheus.NewRegistry()
	loops.MustRegister(&statsCollector{stats: &stats})
	gatherers := prometheus.Gatherers{loops, h.process}
	promhttp.HandlerFor(gatherers, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// statsCollector exports one snapshot of a gateway. It implements
// prometheus.Collector.
type statsCollector struct {
	stats *GatewayStats
}

// Describe implements prometheus.Collector.
func (c *statsCollector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range plainMetrics {
		out <- m.desc
	}
	for _, m := range labelledMetrics {
		out <- m.desc
	}
	for _, m := range timeMetrics {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *statsCollector) Collect(out chan<- prometheus.Metric) {
	for _, m := range plainMetrics {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(c))
	}
	for _, m := range labelledMetrics {
		counts := m.counts(c)
		for _, label := range m.known {
			if _, counted := counts[label]; !counted {
				out <- prometheus.MustNewConstMetric(m.desc, prometheus.CounterValue, 0, label)
			}
		}
		for label, n := range counts {
			out <- prometheus.MustNewConstMetric(m.desc, prometheus.CounterValue, float64(n), label)
		}
	}
	for _, m := range timeMetrics {
		h := m.value(c)
		buckets := make(map[float64]uint64, len(h.Buckets))
		for _, b := range h.Buckets {
			buckets[b.UpTo] = b.Count
		}
		out <- prometheus.MustNewConstHistogram(m.desc, h.Count, h.Sum, buckets)
	}
}
