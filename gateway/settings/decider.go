package settings

import (
	"context"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"fleetcast/codec/websocket"
)

// Decider decides who may connect where the gateway cannot know, such as by a token's
// signature or by a web hook. It is asked about each request that the gateway itself
// would accept. The client waits for the answer, no longer than HandshakeTimeout. Its
// loop serves others meanwhile. What the client sends before the answer is kept up to
// one read, and not read beyond that.
type Decider struct {
	// Decide returns nil if the client may connect. It is called on a goroutine of its
	// own for each request, and may wait. If it panics, the client is refused. ctx ends when the answer does not matter any
	// more, because the client is gone, its time is over, or the gateway stops.
	Decide func(ctx context.Context, request ConnectRequest) *Refusal
	// Reasons are the labels under which refusals are counted: each of 1 to 32 of
	// a-z, 0-9 and _, and 16 at most. Other refusals are counted as "refused".
	Reasons []string
	// AtOnce is how many requests may be decided about at the same time; more are
	// answered 503. One counts until Decide has returned. One address may have seven times
	// the room that is left, so alone 7/8 of AtOnce; if that is 8 or less, all of it.
	AtOnce int
}

// ConnectRequest is a client's request to connect. It is a copy, and holds no more
// than MaxHead bytes of the request.
type ConnectRequest struct {
	Path, Query string         // of the target; Query is what follows the question mark
	Host        string         // with the port, if the client named one
	Origin      string         // of the page, as browsers send it; empty without one
	Client      netip.AddrPort // where it comes from; see ProxyHeader. The port is 0 if a proxy did not tell
	head        []byte
}

// NewConnectRequest copies a request that was accepted as hs.
func NewConnectRequest(head []byte, hs websocket.Handshake, client netip.AddrPort) ConnectRequest {
	_, path := websocket.RequestLine(head)
	return ConnectRequest{
		Path: string(path), Query: string(hs.Query), Host: string(hs.Host), Origin: string(hs.Origin),
		Client: client, head: append([]byte(nil), head...),
	}
}

// Values are the values of all header fields with a name, in order.
func (r *ConnectRequest) Values(name string) (values []string) {
	for _, value := range websocket.FieldValues(nil, r.head, strings.ToLower(name)) {
		values = append(values, string(value))
	}
	return values
}

// Size is about how many bytes the copy holds.
func (r *ConnectRequest) Size() int { return 2 * len(r.head) }

// Refusal is the answer to a client that may not connect.
type Refusal struct {
	Status  int         // of the HTTP response: 400 to 599; another counts as 403
	Reason  string      // one of [Decider.Reasons]
	Message string      // one line for a person: why, and what would be right
	Header  http.Header // further fields, such as WWW-Authenticate or Retry-After
}

// Response is r as the gateway counts and answers it.
func (d *Decider) Response(r *Refusal) *websocket.HandshakeError {
	e := &websocket.HandshakeError{Status: r.Status, Reason: ReasonRefused, Message: r.Message}
	if r.Status < http.StatusBadRequest || r.Status > 599 {
		e.Status = http.StatusForbidden
	}
	if slices.Contains(d.Reasons, r.Reason) {
		e.Reason = r.Reason
	}
	return e
}

// ReasonRefused counts refusals of a [Decider] with a reason that it did not
// announce.
const ReasonRefused = "refused"

const maxDeciderReasons = 16

var reasonForm = regexp.MustCompile(`^[a-z0-9_]{1,32}$`)

// checkDecider names what is wrong with the Decider.
func (c *Config) checkDecider(errs *OptionErrors) {
	d := c.Decider
	switch {
	case d == nil:
		return
	case d.Decide == nil:
		errs.add("Decider", "has no Decide")
	case d.AtOnce < 1:
		errs.add("Decider", "decides about %d requests at once, must be at least 1", d.AtOnce)
	case len(d.Reasons) > maxDeciderReasons:
		errs.add("Decider", "has %d reasons, must have at most %d", len(d.Reasons), maxDeciderReasons)
	}
	for _, reason := range d.Reasons {
		if !reasonForm.MatchString(reason) {
			errs.add("Decider", "has the reason %.40q, must be 1 to 32 of a-z, 0-9 and _", reason)
		}
	}
}
