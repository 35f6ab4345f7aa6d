package admin

import (
	"fmt"
	"net/http"
	"strings"

	"fleetcast/codec/command"
	"fleetcast/gateway/ingest"
	"fleetcast/gateway/keys"
	"fleetcast/gateway/settings"
)

// maxProfileBody is the longest body of a request below /debug/pprof/, in bytes.
const maxProfileBody = 64 << 10

// guard checks every request to the admin port before it reaches a handler:
// the HTTP version, the host, where it comes from, its key, and the size of its body.
type guard struct {
	of          *Target
	crossOrigin *http.CrossOriginProtection
	next        http.Handler
}

// ServeHTTP implements http.Handler.
func (a *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	plain := w // net/http knows it
	counted := &refusalWriter{ResponseWriter: w, of: a.of, request: r}
	w = counted
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	refused := a.check(r)
	var holder *keys.Holder
	if refused == nil {
		holder, refused = a.checkKey(r)
	}
	if refused != nil {
		counted.reason = refused.reason
		header.Set("Connection", "close")
		if refused.challenge != "" {
			header.Set("WWW-Authenticate", refused.challenge)
		}
		answerRefusal(w, r, refused)
		return
	}
	r = withHolder(r, holder)
	r.Body = http.MaxBytesReader(plain, r.Body, a.bodyLimit(r))
	a.next.ServeHTTP(w, r)
}

func (a *guard) check(r *http.Request) *apiError {
	switch {
	case r.ProtoMajor != 1 || r.ProtoMinor > 1:
		return &apiError{status: http.StatusHTTPVersionNotSupported, code: command.BadRequest, message: "this port speaks HTTP/1.1 and HTTP/1.0"}
	case !a.allowsHost(r):
		return &apiError{status: settings.ErrForbiddenHost.Status, code: command.PermissionDenied, message: settings.ErrForbiddenHost.Message}
	case !a.allowsOrigin(r):
		return &apiError{status: http.StatusForbidden, code: command.PermissionDenied, message: errForeignPage, reason: ForbiddenOrigin}
	}
	limit := a.bodyLimit(r)
	if length := r.ContentLength; length > limit || length < 0 && limit == 0 {
		return bodyTooLarge(limit)
	}
	return nil
}

// allowsHost checks the host that the request is for. A request of HTTP/1.0 may
// name none; no browser sends such a request.
func (a *guard) allowsHost(r *http.Request) bool {
	if r.Host == "" && !r.ProtoAtLeast(1, 1) {
		return true
	}
	return a.of.Settings.Load().Hosts.Allow([]byte(r.Host))
}

// allowsOrigin refuses requests that a web page of another origin makes a browser send.
// GET requests are refused too, because they cost time; those that go by plain HTTP to another
// name than localhost cannot be told, and their answers stay hidden. A link to the dashboard may be
// followed. No browser sends one of these fields twice, so the checks read the first.
func (a *guard) allowsOrigin(r *http.Request) bool {
	if len(r.Header["Origin"]) > 1 || len(r.Header["Sec-Fetch-Site"]) > 1 {
		return false
	}
	isLink := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	if isLink && r.URL.Path == "/" && r.Method == http.MethodGet {
		return true
	}
	unsafe := *r
	unsafe.Method = http.MethodPost // Check lets through every GET
	return a.crossOrigin.Check(&unsafe) == nil
}

// bodyLimit is how long the body of a request may be, in bytes. Handlers may
// allow less.
func (a *guard) bodyLimit(r *http.Request) int64 {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return 0
	case strings.HasPrefix(r.URL.Path, profilePath):
		return maxProfileBody
	}
	return int64(max(bodyLimit, a.of.Settings.Config().MaxEvent+ingest.RequestRoom))
}

func bodyTooLarge(limit int64) *apiError {
	if limit == 0 {
		return &apiError{status: http.StatusRequestEntityTooLarge, code: codeTooLarge, message: "a request with this method has no body here"}
	}
	return &apiError{status: http.StatusRequestEntityTooLarge, code: codeTooLarge, message: fmt.Sprintf("the body is longer than %d bytes", limit)}
}

// answerRefusal answers in the form that the path's handler would use.
func answerRefusal(w http.ResponseWriter, r *http.Request, err error) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		w.Header().Set("Cache-Control", "no-store")
		answerError(w, err)
		return
	}
	e := apiErrorOf(err)
	answer(w, e.status, e.message)
}

const errForeignPage = "the request comes from a web page of another origin, which the admin port never takes (--allow-origin is for the client port only); " +
	"if it is a page of this port behind a proxy, let the proxy pass Host on, and start the gateway with --allow-host and that name"
