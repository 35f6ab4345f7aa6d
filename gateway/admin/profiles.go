package admin

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"
	"net/url"
	"strconv"
	"time"

	"fleetcast/gateway/plainhttp"
)

const (
	// profilePath is where profiles are, and below.
	profilePath = "/debug/pprof/"
	// maxProfileSeconds is how long a profile may be gathered.
	maxProfileSeconds = 60
	// profilesAtOnce is how many requests for profiles are served at a time.
	profilesAtOnce = 2
	// profileRetry is when to try again, in seconds.
	profileRetry = 5
	// profileAnswerTimeout is the time for the answer, without the time to gather it.
	profileAnswerTimeout = 30 * time.Second
)

// newProfiles serves Go's profiles: few at a time, each for a bounded time. One
// ends when its client leaves.
func newProfiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+profilePath, pprof.Index)
	mux.HandleFunc("GET "+profilePath+"cmdline", pprof.Cmdline)
	mux.HandleFunc("GET "+profilePath+"profile", pprof.Profile)
	mux.HandleFunc("GET "+profilePath+"symbol", pprof.Symbol)
	mux.HandleFunc("POST "+profilePath+"symbol", symbols)
	mux.HandleFunc("GET "+profilePath+"trace", pprof.Trace)
	bound := &plainhttp.Places{Limit: profilesAtOnce, Busy: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", strconv.Itoa(profileRetry))
		answer(w, http.StatusServiceUnavailable, fmt.Sprintf("%d requests for profiles are being served; try again later", profilesAtOnce))
	})}
	return boundSeconds(bound.Bound(mux))
}

// boundSeconds refuses profiles that would take too long, and gives others the
// time that they take. Of several values net/http/pprof uses the first.
func boundSeconds(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gathered := maxProfileSeconds
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err == nil && query.Has("seconds") {
			gathered, err = strconv.Atoi(query.Get("seconds"))
		}
		if err != nil || gathered < 0 || gathered > maxProfileSeconds {
			answer(w, http.StatusBadRequest, fmt.Sprintf("seconds must be a whole number from 0 to %d", maxProfileSeconds))
			return
		}
		plainhttp.BoundAnswer(time.Duration(gathered)*time.Second+profileAnswerTimeout, next).ServeHTTP(w, r)
	})
}

// symbols reads the whole body before it answers, because pprof.Symbol takes one
// that breaks off for a complete one.
func symbols(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r, maxProfileBody)
	if err != nil {
		refused := apiErrorOf(err)
		answer(w, refused.status, refused.message)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	pprof.Symbol(w, r)
}
