package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"time"
)

// statsPatience is how long the loops may take to answer for their counters.
const statsPatience = 5 * time.Second

// AdminHandler serves the admin port: /healthz (the process runs), /readyz (it
// takes clients), /api/stats, /metrics (for Prometheus) and /debug/pprof. It does
// not authenticate.
func (g *Gateway) AdminHandler() http.Handler {
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
	mux.HandleFunc("GET /api/stats", g.serveStats)
	mux.Handle("GET /metrics", newMetricsHandler(g, statsPatience))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func (g *Gateway) serveStats(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), statsPatience)
	defer cancel()
	stats, err := g.Stats(ctx)
	if err != nil {
		answerJSON(w, http.StatusServiceUnavailable, map[string]any{
			"error": map[string]string{"code": "not_available", "message": err.Error()},
		})
		return
	}
	answerJSON(w, http.StatusOK, stats)
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
