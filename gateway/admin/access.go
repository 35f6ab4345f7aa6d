package admin

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"fleetcast/codec/command"
	"fleetcast/gateway/keys"
	"fleetcast/gateway/settings"
	"fleetcast/poller"
)

const (
	publishPath = "/api/publish"
	// challengeNone and the others are what WWW-Authenticate says (RFC 6750, section 3).
	challengeNone  = `Bearer realm="fleetcast"`
	challengeWrong = challengeNone + `, error="invalid_token"`
	challengeScope = challengeNone + `, error="insufficient_scope"`
)

// Why a request is refused for its key.
var (
	errNoKey = &apiError{
		status: http.StatusUnauthorized, code: command.AuthenticationRequired, challenge: challengeNone, reason: NoKey,
		message: "this needs a key of --admin-keys: send the header Authorization: Bearer fck_...",
	}
	errNoPublishKey = &apiError{
		status: http.StatusUnauthorized, code: command.AuthenticationRequired, challenge: challengeNone, reason: NoKey,
		message: "this needs a key of --publish-keys: send the header Authorization: Bearer fck_...",
	}
	errWrongKey = &apiError{
		status: http.StatusUnauthorized, code: command.InvalidKey, challenge: challengeWrong, reason: WrongKey, message: "there is no such key",
	}
	errNoForm = &apiError{
		status: http.StatusUnauthorized, code: command.InvalidKey, challenge: challengeWrong, reason: WrongKey, message: keys.NoForm,
	}
	errOnlyRead = &apiError{
		status: http.StatusForbidden, code: command.PermissionDenied, challenge: challengeScope, reason: OtherScope,
		message: "this key may only read; this needs a key of --admin-keys with access: write",
	}
	errOnlyFigures = &apiError{
		status: http.StatusForbidden, code: command.PermissionDenied, challenge: challengeScope, reason: OtherScope,
		message: "this key may read figures, but not events; this needs a key of --admin-keys with access: write",
	}
	errOnlyPublish = &apiError{
		status: http.StatusForbidden, code: command.PermissionDenied, challenge: challengeScope, reason: OtherScope,
		message: "this is a key of --publish-keys, which is for " + publishPath + " and the publish port; this needs one of --admin-keys",
	}
	errOnlyAdmin = &apiError{
		status: http.StatusForbidden, code: command.PermissionDenied, challenge: challengeScope, reason: OtherScope,
		message: "this is a key of --admin-keys, which is not for publishing; this needs one of --publish-keys",
	}
)

// isOpen tells whether a path is served without a key: the pages, which have nothing to
// hide and ask for the key, what load balancers ask, and the path of another port.
func isOpen(path string) bool {
	return path == "/" || path == "/healthz" || path == readinessPath || path == settings.Path || strings.HasPrefix(path, "/dashboard/") && !strings.Contains(path, "..")
}

// checkKey returns what the request's key allows, nil if none is needed, or why it is
// refused.
func (a *guard) checkKey(r *http.Request) (*keys.Holder, *apiError) {
	in := a.of.Settings.Load()
	publishes := r.URL.Path == publishPath
	switch {
	case isOpen(r.URL.Path):
		return nil, nil
	case publishes && in.PublishKeys == nil && in.AdminKeys == nil, !publishes && in.AdminKeys == nil:
		return nil, nil
	}
	text, shown := bearer(r)
	if !shown {
		if publishes {
			return nil, errNoPublishKey
		}
		return nil, errNoKey
	}
	return a.holder(in, r, publishes, text)
}

// holder looks the key up and compares what it is for with the request.
func (a *guard) holder(in *settings.Settings, r *http.Request, publishes bool, text string) (*keys.Holder, *apiError) {
	publisher, operator := in.PublishKeys.Find([]byte(text)), in.AdminKeys.Find([]byte(text))
	switch {
	case publisher == nil && operator == nil:
		return nil, a.wrongKey(r, text)
	case publishes && publisher == nil:
		return nil, errOnlyAdmin
	case publishes:
		return publisher, nil
	case operator == nil:
		return nil, errOnlyPublish
	case operator.Scope == keys.Write:
	case changes(r):
		return nil, errOnlyRead
	case strings.HasPrefix(r.URL.Path, channelPath):
		return nil, errOnlyFigures
	}
	return operator, nil
}

// wrongKey counts a wrong key, and refuses more than a word where too many have come.
func (a *guard) wrongKey(r *http.Request, text string) *apiError {
	from, _ := netip.ParseAddrPort(r.RemoteAddr) // else all such count as one
	wait := a.of.Publish.Tries.Wrong(from.Addr(), poller.Now())
	switch {
	case wait == 0 && !keys.HasForm([]byte(text)):
		return errNoForm
	case wait == 0:
		return errWrongKey
	}
	return &apiError{
		status: http.StatusTooManyRequests, code: command.RateLimited, reason: WrongKey, after: wait,
		message: "too many wrong keys have come from this address",
	}
}

// changes tells whether a request needs a key that may write. Profiles do: they cost time,
// and show what the process was started with.
func changes(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, profilePath) || r.Method != http.MethodGet && r.Method != http.MethodHead
}

// bearer is the key that a request shows.
func bearer(r *http.Request) (text string, shown bool) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	text = strings.TrimSpace(text)
	return text, strings.EqualFold(scheme, "Bearer") && text != ""
}

// holderKey is where a request's context has what its key allows.
type holderKey struct{}

func withHolder(r *http.Request, h *keys.Holder) *http.Request {
	if h == nil {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), holderKey{}, h))
}

// holderOf is what the request's key allows, nil if none was needed.
func holderOf(r *http.Request) *keys.Holder {
	h, _ := r.Context().Value(holderKey{}).(*keys.Holder)
	return h
}

// logOperator logs what an operator does, and whose key that was.
func (a *api) logOperator(r *http.Request, message string, attrs ...any) {
	attrs = append(attrs, "from", r.RemoteAddr)
	if h := holderOf(r); h != nil {
		attrs = append(attrs, "key", h.Name)
	}
	a.of.Logger.Info(message, attrs...)
}
