package websocket

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
)

// Labels of refused handshakes, for counters. The last two are for callers: only the
// code that gathers the head knows its age and whether there is room.
const (
	ReasonMalformedRequest = "malformed_request" // 400
	ReasonTLS              = "tls"               // 400: a TLS client's greeting
	ReasonProxyHeader      = "proxy_header"      // 400: a header of the PROXY protocol that is not expected
	ReasonBadHTTPVersion   = "bad_http_version"  // 505
	ReasonBadMethod        = "bad_method"        // 405
	ReasonNotFound         = "not_found"         // 404: WebSocket, on another path
	ReasonNotWebSocket     = "not_websocket"     // 404: another path, and no upgrade asked for
	ReasonBadHost          = "bad_host"          // 400
	ReasonNoUpgrade        = "no_upgrade"        // 426
	ReasonBadVersion       = "bad_version"       // 426
	ReasonBadKey           = "bad_key"           // 400
	ReasonUnexpectedBody   = "unexpected_body"   // 400
	ReasonForbiddenOrigin  = "forbidden_origin"  // 403
	ReasonHeadTooLarge     = "head_too_large"    // 431
	ReasonTargetTooLong    = "target_too_long"   // 414
	ReasonTooSlow          = "too_slow"          // 408
	ReasonFull             = "full"              // 503
)

// HandshakeError is a refused handshake. Values must not be changed: those of
// this package are shared.
type HandshakeError struct {
	Status  int    // of the HTTP response
	Reason  string // a short stable label, one of the Reason constants or the caller's own
	Message string // one line for a person: why, and what would be right
}

// Error implements error.
func (e *HandshakeError) Error() string {
	return fmt.Sprintf("websocket: handshake refused with %d (%s): %s", e.Status, e.Reason, e.Message)
}

// Refusals for callers of [AppendRefusal].
var (
	ErrTooSlow = &HandshakeError{http.StatusRequestTimeout, ReasonTooSlow,
		"the request head did not arrive in time; send it whole, ended by an empty line"}
	ErrFull = &HandshakeError{http.StatusServiceUnavailable, ReasonFull,
		"no room for more clients; try again later"}
)

var (
	errNotHTTP = &HandshakeError{http.StatusBadRequest, ReasonMalformedRequest,
		"the first line is not an HTTP request line; send 'GET /path HTTP/1.1'"}
	errTLS = &HandshakeError{http.StatusBadRequest, ReasonTLS,
		"this port takes no TLS; connect with ws:// or http://, or through a proxy that ends TLS"}
	errProxyHeader = &HandshakeError{http.StatusBadRequest, ReasonProxyHeader,
		"this connection begins with a header of the PROXY protocol, which the server does not take from this address"}
	errBadLineEnd = &HandshakeError{http.StatusBadRequest, ReasonMalformedRequest,
		"a line of the request head does not end in CR LF"}
	errBadField = &HandshakeError{http.StatusBadRequest, ReasonMalformedRequest,
		"a header line is malformed; send 'Name: value' without folding, control bytes or a space before the colon"}
	errBadTarget = &HandshakeError{http.StatusBadRequest, ReasonMalformedRequest,
		"the request target is malformed; send a path that starts with '/' or an http URL"}
	errBadFraming = &HandshakeError{http.StatusBadRequest, ReasonMalformedRequest,
		"the fields do not agree where the request ends; send either Content-Length or 'Transfer-Encoding: chunked', once, and the latter with HTTP/1.1 only"}
	errRepeatedField = &HandshakeError{http.StatusBadRequest, ReasonMalformedRequest,
		"Sec-WebSocket-Key or Sec-WebSocket-Version is there more than once; send each once"}
	errBadExtensions = &HandshakeError{http.StatusBadRequest, ReasonMalformedRequest,
		"Sec-WebSocket-Extensions is malformed; send 'name; parameter; parameter=value, ...'"}
	errBadProtocol = &HandshakeError{http.StatusBadRequest, ReasonMalformedRequest,
		"Sec-WebSocket-Protocol is malformed; send 'name, name', or leave it out"}
	errBadHTTPVersion = &HandshakeError{http.StatusHTTPVersionNotSupported, ReasonBadHTTPVersion,
		"the WebSocket handshake needs HTTP/1.1, and other requests that or HTTP/1.0"}
	errBadMethod = &HandshakeError{http.StatusMethodNotAllowed, ReasonBadMethod,
		"the WebSocket handshake is a GET request"}
	errBadHost = &HandshakeError{http.StatusBadRequest, ReasonBadHost,
		"the request needs exactly one Host field, with a valid host and port"}
	errNoUpgrade = &HandshakeError{http.StatusUpgradeRequired, ReasonNoUpgrade,
		"this is a WebSocket endpoint; connect with a WebSocket client ('Upgrade: websocket' and 'Connection: Upgrade' are missing)"}
	errBadVersion = &HandshakeError{http.StatusUpgradeRequired, ReasonBadVersion,
		"only WebSocket version 13 is spoken here; send 'Sec-WebSocket-Version: 13'"}
	errBadKey = &HandshakeError{http.StatusBadRequest, ReasonBadKey,
		"Sec-WebSocket-Key is missing or is not 16 bytes in base64"}
	errUnexpectedBody = &HandshakeError{http.StatusBadRequest, ReasonUnexpectedBody,
		"the WebSocket handshake has no body; leave out Content-Length and Transfer-Encoding"}
	errForbiddenOrigin = &HandshakeError{http.StatusForbidden, ReasonForbiddenOrigin,
		"pages of this origin may not connect; the Origin must be that of the host that is connected to, or be allowed in the server's configuration"}
)

// newHeadTooLarge refuses a head of more than limit bytes.
func newHeadTooLarge(limit int) *HandshakeError {
	return &HandshakeError{http.StatusRequestHeaderFieldsTooLarge, ReasonHeadTooLarge,
		"the request head is longer than " + strconv.Itoa(limit) + " bytes; send fewer or shorter header fields (cookies)"}
}

// newTargetTooLong refuses a head whose first line alone is longer than limit.
func newTargetTooLong(limit int) *HandshakeError {
	return &HandshakeError{http.StatusRequestURITooLong, ReasonTargetTooLong,
		"the request line alone is longer than the " + strconv.Itoa(limit) + " bytes that a request head may have; send a shorter query"}
}

// AppendRefusal appends the whole HTTP response that refuses a handshake: the status,
// the fields that RFC 9110 wants with it, and the message as the body. The connection
// must be closed after it.
func AppendRefusal(dst []byte, e *HandshakeError) []byte { return AppendRefusalRetry(dst, e, 0) }

// AppendRefusalRetry is [AppendRefusal] with the time in seconds after which the
// client may try again (Retry-After, RFC 9110, 10.2.3); 0 says nothing of it.
func AppendRefusalRetry(dst []byte, e *HandshakeError, retryAfter int) []byte {
	dst = appendRefusalHead(dst, e, retryAfter)
	dst = append(dst, e.Message...)
	return append(dst, '\n')
}

// AppendRefusalWith is [AppendRefusal] with further fields, whose names are as
// [http.Header.Set] makes them. Fields that frame the response are left out, and line
// ends in values become spaces.
func AppendRefusalWith(dst []byte, e *HandshakeError, fields http.Header) []byte {
	out := bytes.NewBuffer(bytes.TrimSuffix(AppendRefusalHead(dst, e), []byte("\r\n")))
	_ = fields.WriteSubset(out, map[string]bool{"Connection": true, "Content-Length": true, "Content-Type": true, "Transfer-Encoding": true}) // a buffer takes all
	return append(append(out.Bytes(), "\r\n"+e.Message...), '\n')
}

// AppendRefusalHead is [AppendRefusal] without the body, which the answer to a
// HEAD request must not have (RFC 9110, 9.3.2).
func AppendRefusalHead(dst []byte, e *HandshakeError) []byte {
	return appendRefusalHead(dst, e, 0)
}

// appendRefusalHead says nothing of when to try again if retryAfter is 0.
func appendRefusalHead(dst []byte, e *HandshakeError, retryAfter int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(e.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(e.Status)...)
	dst = append(dst, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(e.Message)+len("\n")), 10)
	if retryAfter > 0 {
		dst = append(dst, "\r\nRetry-After: "...)
		dst = strconv.AppendInt(dst, int64(retryAfter), 10)
	}
	switch e.Status {
	case http.StatusMethodNotAllowed:
		dst = append(dst, "\r\nAllow: GET\r\nConnection: close"...)
	case http.StatusUpgradeRequired:
		// A sender of Upgrade must name it in Connection (RFC 9110, 7.8).
		dst = append(dst, "\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: close, Upgrade"...)
	default:
		dst = append(dst, "\r\nConnection: close"...)
	}
	return append(dst, "\r\n\r\n"...)
}
