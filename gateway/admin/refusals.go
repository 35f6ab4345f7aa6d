package admin

import (
	"cmp"
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
	ForbiddenHost   = "forbidden_host"
	ForbiddenOrigin = "forbidden_origin"
	TooLarge        = "too_large"
	NotAvailable    = string(command.NotAvailable)
	NoKey           = string(command.AuthenticationRequired)
	WrongKey        = string(command.InvalidKey)
	OtherScope      = "other_scope" // the key is for something else
)

// refusedReasons are all reasons.
var refusedReasons = []string{
	ForbiddenHost, ForbiddenOrigin, TooLarge, NotAvailable, NoKey, WrongKey, OtherScope,
	webport.ReasonTLS, webport.ReasonMalformed, webport.ReasonVersion, webport.ReasonHeadTooLong,
}

// refusedStatus finds the reason in the status of an answer, if the guard has not told it.
// Other answers are no refusals, or report a mistake of the client.
var refusedStatus = map[int]string{
	http.StatusMisdirectedRequest:      ForbiddenHost,
	http.StatusRequestEntityTooLarge:   TooLarge,
	http.StatusServiceUnavailable:      NotAvailable,
	http.StatusHTTPVersionNotSupported: webport.ReasonVersion,
}

// Refusals counts requests and connections that the admin port refuses. Any
// goroutine may call its methods.
type Refusals struct {
	mu      sync.Mutex
	counts  map[string]uint64
	samples stats.Samples
}

// Refused counts one. name is what matters most about it, or empty.
func (a *Refusals) Refused(reason, name string, attrs ...slog.Attr) {
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

// TakeSamples returns the samples and clears them.
func (a *Refusals) TakeSamples() stats.Samples {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.samples.Take()
}

// AddTo adds the counts to others.
func (a *Refusals) AddTo(counts map[string]uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for reason, n := range a.counts {
		counts[reason] += n
	}
}

// refusalWriter counts an answer that refuses its request.
type refusalWriter struct {
	http.ResponseWriter
	of      *Target
	request *http.Request
	reason  string // why the guard refuses, where the status does not say it
}

// Unwrap is for [http.ResponseController].
func (w *refusalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *refusalWriter) WriteHeader(status int) {
	r := w.request
	if reason := cmp.Or(w.reason, refusedStatus[status]); reason != "" && r.URL.Path != readinessPath {
		name := ""
		switch reason {
		case ForbiddenHost:
			name = r.Host
		case ForbiddenOrigin:
			name = r.Header.Get("Origin")
		}
		w.of.Refusals.Refused(reason, name, slog.String("address", r.RemoteAddr),
			slog.String("request", stats.Clip(r.Method+" "+r.URL.Path)))
	}
	w.ResponseWriter.WriteHeader(status)
}
