package gateway

import (
	"log/slog"
	"net/http"
	"sync"

	"fleetcast/codec/command"
	"fleetcast/gateway/stats"
	"fleetcast/gateway/webport"
)

// The reasons for which the admin port refuses a request that another setting, or a
// lower load of the gateway, would let through.
const (
	adminForbiddenHost   = "forbidden_host"
	adminForbiddenOrigin = "forbidden_origin"
	adminTooLarge        = "too_large"
	adminNotAvailable    = string(command.NotAvailable)
)

// adminRefusedReasons are all reasons.
var adminRefusedReasons = []string{
	adminForbiddenHost, adminForbiddenOrigin, adminTooLarge, adminNotAvailable,
	webport.ReasonTLS, webport.ReasonMalformed, webport.ReasonVersion, webport.ReasonHeadTooLong,
}

// adminRefusedStatus finds the reason in the status of an answer. Other answers are no
// refusals, or report a mistake of the client.
var adminRefusedStatus = map[int]string{
	http.StatusMisdirectedRequest:      adminForbiddenHost,
	http.StatusForbidden:               adminForbiddenOrigin,
	http.StatusRequestEntityTooLarge:   adminTooLarge,
	http.StatusServiceUnavailable:      adminNotAvailable,
	http.StatusHTTPVersionNotSupported: webport.ReasonVersion,
}

// adminRefusals counts requests and connections that the admin port refuses. Any
// goroutine may call its methods.
type adminRefusals struct {
	mu      sync.Mutex
	counts  map[string]uint64
	samples stats.Samples
}

// refused counts one. name is what matters most about it, or empty.
func (a *adminRefusals) refused(reason, name string, attrs ...slog.Attr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts == nil {
		a.counts = make(map[string]uint64)
	}
	a.counts[reason]++
	key := stats.IncidentKey{Metric: stats.MetricAdminRefused, Label: reason}
	if a.samples.Wants(key) {
		a.samples.Keep(key, attrs...)
	}
	a.samples.Name(key, stats.Clip(name))
}

// takeSamples returns the samples and clears them.
func (a *adminRefusals) takeSamples() stats.Samples {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.samples.Take()
}

// addTo adds the counts to others.
func (a *adminRefusals) addTo(counts map[string]uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for reason, n := range a.counts {
		counts[reason] += n
	}
}

// refusalWriter counts an answer that refuses its request.
type refusalWriter struct {
	http.ResponseWriter
	of      *adminTarget
	request *http.Request
}

// Unwrap is for [http.ResponseController].
func (w *refusalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *refusalWriter) WriteHeader(status int) {
	r := w.request
	if reason := adminRefusedStatus[status]; reason != "" && r.URL.Path != readinessPath {
		name := ""
		switch reason {
		case adminForbiddenHost:
			name = r.Host
		case adminForbiddenOrigin:
			name = r.Header.Get("Origin")
		}
		w.of.refusals.refused(reason, name, slog.String("address", r.RemoteAddr),
			slog.String("request", stats.Clip(r.Method+" "+r.URL.Path)))
	}
	w.ResponseWriter.WriteHeader(status)
}
