package admin

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"fleetcast/gateway/shard"
	"fleetcast/gateway/stats"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
)

// The codes of errors that only the API has; the others are those of the client
// protocol.
const (
	codeNotFound         command.Code = "not_found"
	codeMethodNotAllowed command.Code = "method_not_allowed"
	codeUnsupportedType  command.Code = "unsupported_media_type"
	codeTooLarge         command.Code = "too_large"
)

const (
	// bodyLimit is the longest body of a request that is not an event, in bytes.
	bodyLimit = 4 << 10
	// listDefault and listLimit are how many entries a list has if the request
	// does not say, and at most.
	listDefault, listLimit = 100, 1000
)

// api is the HTTP API of the admin port. docs/api.md and openapi.yaml describe
// it. Any goroutine may call it; what belongs to a loop it asks the loop for.
type api struct {
	of    *Target
	admin Options
}

// apiRoute is one operation. An error that it returns is answered with; an
// *apiError says how.
type apiRoute struct {
	method, path string
	query        []string // the parameters that it knows
	serve        func(*api, http.ResponseWriter, *http.Request) error
}

var apiRoutes = []apiRoute{
	{"GET", "/api/stats", nil, (*api).stats},
	{"GET", "/api/channels", []string{"prefix", "after", "limit", "order"}, (*api).channels},
	{"GET", channelPath + "{name}/history", []string{"since", "before", "limit"}, (*api).history},
	{"DELETE", channelPath + "{name}/history", nil, (*api).purge},
	{"GET", "/api/clients/{id}", nil, (*api).client},
	{"POST", "/api/clients/{id}/disconnect", nil, (*api).disconnect},
	{"GET", "/api/users/{user}", nil, (*api).user},
	{"POST", "/api/users/{user}/disconnect", nil, (*api).disconnectUser},
	{"POST", "/api/users/{user}/unsubscribe", nil, (*api).unsubscribeUser},
	{"GET", "/api/publishers", []string{"limit", "order"}, (*api).publishers},
	{"POST", "/api/publishers/{id}/disconnect", nil, (*api).disconnectPublisher},
	{"GET", "/api/laggards", []string{"limit"}, (*api).laggards},
	{"POST", "/api/publish", nil, (*api).publish},
	{"POST", "/api/drain", nil, (*api).drain},
	{"GET", "/api/openapi.yaml", nil, (*api).description},
}

// Routes are the methods and paths of the API.
func Routes() (routes []string) {
	for _, route := range apiRoutes {
		routes = append(routes, route.method+" "+route.path)
	}
	return routes
}

//go:embed openapi.yaml
var openAPI []byte

// addTo adds the routes to the admin port's.
func (a *api) addTo(mux *http.ServeMux) {
	byPath := make(map[string][]apiRoute)
	for _, route := range apiRoutes {
		byPath[route.path] = append(byPath[route.path], route)
	}
	for path, routes := range byPath {
		mux.Handle(path, a.answering(func(w http.ResponseWriter, r *http.Request) error {
			return a.dispatch(routes, w, r)
		}))
	}
	mux.Handle("/api/", a.answering(func(_ http.ResponseWriter, r *http.Request) error {
		return &apiError{status: http.StatusNotFound, code: codeNotFound, message: fmt.Sprintf("there is no %.200q; GET /api/openapi.yaml lists what there is", r.URL.Path)}
	}))
}

// answering answers with the error of serve.
func (a *api) answering(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if err := serve(w, r); err != nil {
			answerError(w, err)
		}
	})
}

// dispatch finds the route for the request's method among the routes of its path, and
// does the checks that all routes share.
func (a *api) dispatch(routes []apiRoute, w http.ResponseWriter, r *http.Request) error {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	i := slices.IndexFunc(routes, func(route apiRoute) bool { return route.method == method })
	if i < 0 {
		w.Header().Set("Allow", allowed(routes))
		return &apiError{status: http.StatusMethodNotAllowed, code: codeMethodNotAllowed, message: "this path takes " + allowed(routes)}
	}
	switch {
	case method == http.MethodPost:
		if err := checkType(r); err != nil {
			return err
		}
	case method == http.MethodDelete && r.ContentLength != 0:
		return bodyTooLarge(0)
	}
	if err := checkQuery(r, routes[i].query); err != nil {
		return err
	}
	return routes[i].serve(a, w, r)
}

// allowed lists the methods of routes.
func allowed(routes []apiRoute) string {
	var methods []string
	for _, route := range routes {
		methods = append(methods, route.method)
		if route.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	return strings.Join(methods, ", ")
}

// checkType refuses bodies that are not declared as JSON. A web page of another origin
// cannot send that type without a preflight request, which the gateway does not answer.
func checkType(r *http.Request) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return &apiError{status: http.StatusUnsupportedMediaType, code: codeUnsupportedType, message: "send the header Content-Type: application/json"}
	}
	return nil
}

// checkQuery refuses parameters that are unknown, repeated or ill formed.
func checkQuery(r *http.Request, known []string) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badRequest("the query is ill formed: %v", err)
	}
	for name, given := range values {
		switch {
		case !slices.Contains(known, name):
			return badRequest("there is no query parameter %.100q here", name)
		case len(given) > 1:
			return badRequest("the query parameter %s is repeated", name)
		}
	}
	return nil
}

// limitOf returns the query parameter limit, or otherwise.
func limitOf(r *http.Request, otherwise int) (int, error) {
	query := r.URL.Query()
	if !query.Has("limit") {
		return otherwise, nil
	}
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil || limit < 1 || limit > listLimit {
		return 0, badRequest("limit must be a number from 1 to %d", listLimit)
	}
	return limit, nil
}

// readBody reads the request's body, which may have limit bytes, and drops a byte order mark before it.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, bodyTooLarge(tooLarge.Limit)
	case err != nil:
		return nil, badRequest("the body has not arrived in full: %v", err)
	}
	return jsonscan.TrimMark(body), nil
}

// readObject reads a body that is one JSON object with known keys, each at most
// once, and calls take with every member. An empty body is an empty object.
func readObject(w http.ResponseWriter, r *http.Request, known []string, take func(key string, value []byte) error) error {
	body, err := readBody(w, r, bodyLimit)
	if err != nil || len(body) == 0 {
		return err
	}
	return command.EachMember(body, known, take)
}

// patience is the time that the loops have to answer one request.
func (a *api) patience(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), a.admin.Patience)
}

// onShard has a shard call f and waits for it. After an error f may still be
// running: what it writes to must not be looked at then.
func (a *api) onShard(ctx context.Context, s *shard.Shard, f func()) error {
	return a.onLoop(ctx, fmt.Sprint("shard ", s.Port.Index), s.Post, f)
}

// onLoop is onShard for any loop. Its name is used in the error.
func (a *api) onLoop(ctx context.Context, name string, post func(func()), f func()) error {
	called := false
	err := a.of.Ask(ctx, post, func() {
		if called = ctx.Err() == nil; called { // else the caller has stopped waiting
			f()
		}
	})
	switch {
	case errors.Is(err, ErrStopped):
		return notAvailable("the gateway has stopped")
	case err != nil || !called:
		return notAvailable(fmt.Sprintf("%s has not answered within %v", name, a.admin.Patience))
	}
	return nil
}

func (a *api) stats(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := a.patience(r)
	defer cancel()
	all, err := a.of.Stats(ctx)
	if err != nil {
		return notAvailable(err.Error())
	}
	answerJSON(w, http.StatusOK, struct {
		Version string `json:"version"`
		stats.Gateway
	}{a.admin.Version, all})
	return nil
}

func (a *api) drain(w http.ResponseWriter, r *http.Request) error {
	if err := readObject(w, r, nil, nil); err != nil {
		return err
	}
	if a.admin.Drain == nil {
		return &apiError{status: http.StatusNotImplemented, code: command.NotAvailable, message: "this gateway cannot be stopped from here"}
	}
	a.logOperator(r, "an operator asks the gateway to stop")
	a.admin.Drain()
	answerJSON(w, http.StatusAccepted, map[string]bool{"draining": true})
	return nil
}

func (a *api) description(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openAPI) // the client is gone if it fails
	return nil
}
