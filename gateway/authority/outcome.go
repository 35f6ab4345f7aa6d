package authority

import (
	"net/http"

	"fleetcast/gateway/identity"
	"fleetcast/gateway/token"
)

// Outcome is what was decided about a client: it is somebody, or is refused.
type Outcome struct {
	Identity *identity.Identity // nil if the client is refused
	Refusal  *Refusal           // nil if it is not
	// Subscription is what a token for a subscription allows.
	Subscription *token.Subscription
	// Costly tells that the decision took a verification or a question that a resume
	// ticket would save the next time.
	Costly bool
}

// Refusal is why a client is not who it says, or may not connect.
type Refusal struct {
	// Reason is a short stable label: the client's developer, counters and logs get it.
	Reason string
	// Message is one line for a person: why, and what would be right.
	Message string
	// Temporary tells that the same may succeed later, because something was busy or
	// down. A client must not take that for a refusal of its token.
	Temporary bool
	// Status is that of the HTTP response, if the client can see one; 0 is 401, or 503 if
	// the refusal is temporary.
	Status int
	Header http.Header // further fields of that response
	// Counted is under which label the refusal is counted, if not under that of its kind.
	Counted string
}

// Labels under which refusals are counted. What others word, such as the connect hook, is no
// label, because there is no end of it.
const (
	Refused     = "token_refused"        // for good
	Unavailable = "identity_unavailable" // temporary
)

// Label is under what the refusal is counted.
func (r *Refusal) Label() string {
	switch {
	case r.Counted != "":
		return r.Counted
	case r.Temporary:
		return Unavailable
	}
	return Refused
}

// HTTPStatus is the status of the response.
func (r *Refusal) HTTPStatus() int {
	switch {
	case r.Status != 0:
		return r.Status
	case r.Temporary:
		return http.StatusServiceUnavailable
	}
	return http.StatusUnauthorized
}

// Close codes of refusals. RFC 6455, 7.4.2, leaves 4000 to 4999 to applications.
const (
	CloseUnauthenticated = 4401 // the token is refused, has ended or is missing; a new one may help
	CloseForbidden       = 4403 // another token of the same user does not help
)

func accepted(who *identity.Identity, costly bool) Outcome {
	return Outcome{Identity: who, Costly: costly}
}
