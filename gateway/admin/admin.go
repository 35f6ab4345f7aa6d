package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"fleetcast/gateway/ingest"
	"fleetcast/gateway/plainhttp"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/shard"
	"fleetcast/gateway/stats"
	"fleetcast/gateway/stream"

	"fleetcast/gateway/web/dashboard"
)

// defaultPatience is how long loops may take to answer.
const defaultPatience = 5 * time.Second

// Time for the body of a request to the admin port, and for its answer. A client that
// neither sends nor reads must not keep a place there.
const (
	bodyTimeout   = 5 * time.Second
	answerTimeout = 30 * time.Second
)

const (
	// apiPlaces is how many requests to the API are served at a time.
	apiPlaces = 16
	// apiSure is how long each request surely keeps its place.
	apiSure = time.Second
	// busyRetry is when to try again without a place.
	busyRetry = time.Second
)

// readinessPath is where load balancers ask whether clients may come.
const readinessPath = "/readyz"

// notReady is the answer of /readyz when it is not.
const notReady = "not ready: the gateway is starting or draining"

// wrongPort is for WebSocket clients.
const wrongPort = "this is the admin port of fleetcast; WebSocket clients connect to its client port (--listen, by default ws://localhost:8080" + settings.Path + ")"

// Options is what the admin port needs from the process around the gateway.
type Options struct {
	// Version is what /api/stats reports.
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

// ErrStopped is what asking a gateway that has stopped comes to.
var ErrStopped = errors.New("gateway has stopped")

// Target is the gateway that an admin port is for.
type Target struct {
	Settings *settings.Live
	Logger   *slog.Logger
	Streams  *stream.Streams
	Clients  *shard.Shared
	Publish  *ingest.Port
	Refusals *Refusals
	Ready    func() bool
	Stats    func(context.Context) (stats.Gateway, error)
	// Ask has a loop, to which post posts, call f, and waits for it. The error is
	// that of the context, or ErrStopped.
	Ask func(ctx context.Context, post func(func()), f func()) error
}

// NewHandler serves the admin port of a gateway.
func NewHandler(of *Target, admin Options) http.Handler {
	admin.Patience = cmp.Or(admin.Patience, defaultPatience)
	in := newLanes()
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", in.health.bound(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok")
	})))
	mux.Handle("GET "+readinessPath, in.health.bound(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if of.Ready() {
			answer(w, http.StatusOK, "ready")
		} else {
			answer(w, http.StatusServiceUnavailable, notReady)
		}
	})))
	mux.Handle("GET /metrics", in.metrics.bound(newMetricsHandler(of, admin)))
	addAPI(of, mux, in, admin)
	page := in.others.bound(dashboard.Handler())
	mux.Handle("GET /{$}", page)
	mux.Handle("GET /dashboard/", page)
	mux.Handle(settings.Path, in.others.bound(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusNotFound, wrongPort)
	})))
	mux.Handle("/", in.others.bound(http.NotFoundHandler()))
	all := http.NewServeMux()
	all.Handle("/", plainhttp.BoundAnswer(answerTimeout, mux))
	all.Handle(profilePath, in.profiles.bound(newProfiles()))
	return plainhttp.BoundBody(bodyTimeout, &guard{of: of, crossOrigin: http.NewCrossOriginProtection(), next: all})
}

// addAPI adds the API to the admin port's handlers. What has to look at many
// channels, clients or publishers is served in turn.
func addAPI(of *Target, mux *http.ServeMux, in *lanes, admin Options) {
	served := http.NewServeMux()
	(&api{of: of, admin: admin}).addTo(served)
	inPlace := (&plainhttp.Places{Limit: apiPlaces, Sure: apiSure, Busy: http.HandlerFunc(answerBusy)}).Bound(served)
	mux.Handle("/api/", in.others.bound(inPlace))
	mux.Handle("/api/publish", in.publishing.bound(inPlace))
	inTurn := in.others.bound(in.lists.bound(inPlace))
	for _, path := range []string{"/api/channels", "/api/clients/", "/api/publishers", "/api/publishers/", "/api/laggards"} {
		mux.Handle(path, inTurn)
	}
}

// answerBusy refuses a request to the API that finds no place.
func answerBusy(w http.ResponseWriter, _ *http.Request) { answerError(w, errAPIBusy) }

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
