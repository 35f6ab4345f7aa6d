package websocket

import (
	"cmp"
	"net/http"

	"fleetcast/codec/deflate"
)

// Upgrader is the server's side of the opening handshake. It is read-only once
// in use and may be shared.
type Upgrader struct {
	// Path is where clients connect, such as "/ws"; "" lets them connect
	// anywhere. Requests may add a query.
	Path string
	// Subprotocols are those spoken here, the preferred one first. A request
	// that offers none of them is accepted without a subprotocol.
	Subprotocols []string
	// AnySubprotocol accepts the first one offered where none of Subprotocols
	// is. Some clients, such as browsers, give up if they offer some and none is
	// accepted; this is for a server to which they make no difference.
	AnySubprotocol bool
	// CheckOrigin decides whether pages of origin may connect to host. origin
	// is nil if the request has no Origin field; both lie in the head. nil
	// stands for [SameOrigin].
	CheckOrigin func(origin, host []byte) bool
	// ForbiddenOrigin is the refusal of pages that may not connect. nil stands for a
	// refusal that says what is wrong, but not where to allow the origin.
	ForbiddenOrigin *HandshakeError
	// CheckHost decides whether requests for host, a port included if the client
	// gave one, are answered here, whatever their path. It is not asked if the
	// request names no host, as HTTP/1.0 allows. nil accepts every host.
	CheckHost func(host []byte) *HandshakeError
	// Deflate answers offers of permessage-deflate (RFC 7692); nil declines them.
	// Other extensions are declined.
	Deflate *deflate.Policy
	// KeepsContext tells whether clients with this User-Agent compress with context
	// even if they are told not to. Their offer is declined if Deflate would tell them
	// so. nil stands for no client.
	KeepsContext func(userAgent []byte) bool
}

// Upgrade answers the request head, which is exactly as long as [RequestLength] says,
// by appending the whole HTTP response to dst: 101, or a refusal whose body says why.
// err is then a [*HandshakeError], and the connection must be closed after the
// response. An accepted request allocates nothing if dst has room. (RFC 6455, 4.2)
func (u *Upgrader) Upgrade(dst, head []byte) (out []byte, hs Handshake, err error) {
	var q request
	refused := q.parse(head, u.Subprotocols)
	if refused == nil {
		hs, refused = u.check(&q)
	}
	if refused != nil {
		if string(q.method) == http.MethodHead {
			return AppendRefusalHead(dst, refused), Handshake{}, refused
		}
		return AppendRefusal(dst, refused), Handshake{}, refused
	}

	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = appendAccept(dst, Key(q.key))
	if hs.Subprotocol != "" {
		dst = append(dst, "\r\nSec-WebSocket-Protocol: "...)
		dst = append(dst, hs.Subprotocol...)
	}
	if hs.Deflates {
		dst = append(dst, "\r\nSec-WebSocket-Extensions: "...)
		dst = hs.Deflate.Append(dst)
	}
	return append(dst, "\r\n\r\n"...), hs, nil
}

// check checks a well-formed request: first what any request must have, then whether it
// is for this path and an upgrade, then its WebSocket fields.
func (u *Upgrader) check(q *request) (hs Handshake, refused *HandshakeError) {
	_, path, query, ok := splitTarget(q.target)
	host := q.requestedHost()
	switch {
	case q.major != 1 || q.minor > 1:
		return hs, errBadHTTPVersion
	case q.misframed():
		return hs, errBadFraming
	case !q.hasHost():
		return hs, errBadHost
	}
	if u.CheckHost != nil && host != nil {
		if refused = u.CheckHost(host); refused != nil {
			return hs, refused
		}
	}
	switch {
	case ok && u.Path != "" && string(path) != u.Path:
		reason := ReasonNotWebSocket
		if q.upgrade {
			reason = ReasonNotFound
		}
		return hs, &HandshakeError{http.StatusNotFound, reason,
			"nothing is here; WebSocket clients connect to " + u.Path}
	case q.minor < 1:
		return hs, errBadHTTPVersion
	case string(q.method) != http.MethodGet:
		return hs, errBadMethod
	case !ok:
		return hs, errBadTarget
	}
	if refused = q.checkFields(); refused != nil {
		return hs, refused
	}

	hs = Handshake{Host: host, Origin: q.origin, Query: query}
	if !u.allows(q, hs.Host) {
		return hs, cmp.Or(u.ForbiddenOrigin, errForbiddenOrigin)
	}
	if q.offered < len(u.Subprotocols) {
		hs.Subprotocol = u.Subprotocols[q.offered]
	} else if u.AnySubprotocol {
		hs.Subprotocol = string(q.offers.first)
	}
	if q.extensions.usable && u.Deflate != nil {
		agreed := u.Deflate.Answer(q.extensions.params)
		if !agreed.ClientNoContext || u.KeepsContext == nil || !u.KeepsContext(q.userAgent) {
			hs.Deflate, hs.Deflates = agreed, true
		}
	}
	return hs, nil
}

// checkFields judges what the handshake demands of the header fields.
func (q *request) checkFields() *HandshakeError {
	switch {
	case !q.upgrade || !q.connected:
		return errNoUpgrade
	case q.count[fieldVersion] > 1 || q.count[fieldKey] > 1:
		return errRepeatedField
	case string(q.version) != websocketVersion:
		return errBadVersion
	case !isKey(q.key):
		return errBadKey
	case !q.extensions.wellFormed(q.count[fieldExtensions]):
		return errBadExtensions
	case q.offers.malformed || q.count[fieldProtocol] > 0 && q.offers.first == nil:
		return errBadProtocol
	case q.body:
		return errUnexpectedBody
	}
	return nil
}

// allows asks whether the request's origin may connect. More than one Origin is
// no origin that a browser sends.
func (u *Upgrader) allows(q *request, host []byte) bool {
	switch {
	case q.count[fieldOrigin] > 1:
		return false
	case u.CheckOrigin != nil:
		return u.CheckOrigin(q.origin, host)
	}
	return SameOrigin(q.origin, host)
}
