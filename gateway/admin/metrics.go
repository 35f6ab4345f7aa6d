package admin

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
	"golang.org/x/sync/singleflight"

	"fleetcast/gateway/stats"
)

// metricsHandler serves /metrics. Each scrape asks the loops for their counters once,
// so the values of one answer belong together and the loops do nothing between scrapes.
// Scrapes that come while an answer is made share it, and a scrape holds no place while
// its client takes the answer. So neither many scrapes nor scrapers that do not read
// keep another one out. Any goroutine may call it.
type metricsHandler struct {
	of       *Target
	patience time.Duration        // how long the loops may take to answer
	process  *prometheus.Registry // what does not come from the loops
	making   singleflight.Group   // by the form of the answer; there are few forms
}

func newMetricsHandler(of *Target, admin Options) *metricsHandler {
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
	return &metricsHandler{of: of, patience: admin.Patience, process: process}
}

// ServeHTTP answers with 503 and the reason if a loop does not answer in
// time: half an answer would look like lost clients.
func (h *metricsHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := &http.Request{Method: http.MethodGet, Header: http.Header{"Accept": r.Header["Accept"]}}
	form := string(expfmt.NegotiateAccept(r.Header, expfmt.DefaultAcceptedFormats()...))
	if takesGzip(r.Header) {
		asked.Header.Set("Accept-Encoding", "gzip")
		form += " gzip"
	}
	made := h.making.DoChan(form, func() (any, error) { return h.answer(asked) })
	select {
	case <-r.Context().Done(): // the client has gone
	case got := <-made:
		if got.Err != nil {
			answer(w, http.StatusServiceUnavailable, fmt.Sprintf("no metrics: %v", got.Err))
			return
		}
		got.Val.(*madeAnswer).sendTo(w)
	}
}

// takesGzip tells whether a client names gzip among the encodings that it takes.
func takesGzip(header http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(header["Accept-Encoding"], ","), ",") {
		if name, weight, _ := strings.Cut(coding, ";"); strings.TrimSpace(name) == "gzip" {
			return strings.TrimSpace(weight) != "q=0"
		}
	}
	return false
}

func (h *metricsHandler) answer(asked *http.Request) (*madeAnswer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), h.patience)
	defer cancel()
	stats, err := h.of.Stats(ctx)
	if err != nil {
		return nil, err
	}
	loops := prometheus.NewRegistry()
	loops.MustRegister(&statsCollector{stats: &stats})
	gatherers := prometheus.Gatherers{loops, h.process}
	made := newMadeAnswer()
	promhttp.HandlerFor(gatherers, promhttp.HandlerOpts{}).ServeHTTP(made, asked)
	return made, nil
}

// madeAnswer is an answer that is in memory before any of it is sent. It
// implements http.ResponseWriter.
type madeAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newMadeAnswer() *madeAnswer {
	return &madeAnswer{header: make(http.Header), status: http.StatusOK}
}

func (m *madeAnswer) Header() http.Header         { return m.header }
func (m *madeAnswer) WriteHeader(status int)      { m.status = status }
func (m *madeAnswer) Write(p []byte) (int, error) { return m.body.Write(p) }

func (m *madeAnswer) sendTo(w http.ResponseWriter) {
	maps.Copy(w.Header(), m.header)
	w.WriteHeader(m.status)
	_, _ = w.Write(m.body.Bytes()) // the client is gone if it fails
}

// statsCollector exports one snapshot of a gateway. It implements
// prometheus.Collector.
type statsCollector struct {
	stats *stats.Gateway
}

// describe returns the description of a metric.
func describe(m *stats.Metric) *prometheus.Desc {
	var labels []string
	for _, label := range []string{m.Each, m.Label} {
		if label != "" {
			labels = append(labels, label)
		}
	}
	return prometheus.NewDesc(prometheus.BuildFQName("fleetcast", "", m.Name), m.Help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c *statsCollector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range stats.Metrics() {
		out <- describe(&m)
	}
}

func (c *statsCollector) Collect(out chan<- prometheus.Metric) {
	for _, m := range stats.Metrics() {
		for each, part := range m.Parts(c.stats) {
			var labels []string
			if m.Each != "" {
				labels = []string{each}
			}
			collectPart(out, &m, part, labels)
		}
	}
}

// collectPart exports one of the parts of a metric, with these values of labels before that
// of its own.
func collectPart(out chan<- prometheus.Metric, m *stats.Metric, part any, labels []string) {
	desc := describe(m)
	with := func(value string) []string { return append(labels[:len(labels):len(labels)], value) }
	switch {
	case m.Kind == stats.Times:
		h := m.Histogram(part)
		buckets := make(map[float64]uint64, len(h.Buckets))
		for _, b := range h.Buckets {
			buckets[b.UpTo] = b.Count
		}
		out <- prometheus.MustNewConstHistogram(desc, h.Count, h.Sum, buckets, labels...)
	case m.Label != "":
		counts := m.Values(part)
		for _, value := range LabelValues[m.Name] {
			if _, counted := counts[value]; !counted {
				out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, 0, with(value)...)
			}
		}
		for value, n := range counts {
			out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), with(value)...)
		}
	case m.Kind == stats.Counter:
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, m.Value(part), labels...)
	default:
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, m.Value(part), labels...)
	}
}
