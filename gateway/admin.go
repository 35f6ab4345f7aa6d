package gateway

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"time"

	"fleetcast/gateway/web/dashboard"
)

// defaultPatience is how long loops may take to answer.
const defaultPatience = 5 * time.Second

// What a request to the admin port may take, so that nobody who neither sends nor
// reads keeps a place there: its body; its answer; and that of a profile, which is
// gathered for as long as is asked for.
const (
	adminBodyTimeout   = 5 * time.Second
	adminAnswerTimeout = 30 * time.Second
	profileTimeout     = 5 * time.Minute
)

// Admin is what the admin port needs from the process around the gateway.
type Admin struct {
	// Version is told by /api/stats.
	Version string
	// Drain begins to stop the process as SIGTERM does. It returns at once and
	// may be called again, by several goroutines. If it is nil, POST /api/drain
	// is answered with 501.
	Drain func()
	// LogLinesLost is how many lines the process's log has lost, for /metrics. It
	// is called by several goroutines. nil stands for none.
	LogLinesLost func() uint64
	// Patience is how long the loops may take to answer one request; 0 means
	// 5 s.
	Patience time.Duration
}

// AdminHandler serves the admin port: / (the dashboard), /healthz (the process
// runs), /readyz (it takes clients), the API below /api/ (docs/api.md), /metrics
// (for Prometheus) and /debug/pprof. It does not authenticate.
func (g *Gateway) AdminHandler(admin Admin) http.Handler {
	admin.Patience = cmp.Or(admin.Patience, defaultPatience)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if g.Ready() {
			answer(w, http.StatusOK, "ready")
		} else {
			answer(w, http.StatusServiceUnavailable, "not ready: the gateway is starting or draining")
		}
	})
	api := &api{gateway: g, admin: admin, crossOrigin: http.NewCrossOriginProtection()}
	api.addTo(mux)
	mux.Handle("GET /metrics", newMetricsHandler(g, admin))
	page := dashboard.Handler()
	mux.Handle("GET /{$}", page)
	mux.Handle("GET /dashboard/", page)
	all := http.NewServeMux()
	all.Handle("/", boundAnswer(adminAnswerTimeout, mux))
	all.Handle("/debug/pprof/", boundAnswer(profileTimeout, profiles()))
	return boundBody(adminBodyTimeout, all)
}

// profiles serves Go's profiles.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the client is gone if it fails
}

func answerJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value) // the client is gone if it fails
}
