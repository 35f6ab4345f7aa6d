package websocket

import (
	"bytes"
	"fmt"
	"net/http"

	"fleetcast/codec/deflate"
)

// Header is a header field that a client adds to its request. Neither part is
// checked: they must hold what HTTP allows.
type Header struct{ Name, Value string }

// Request is what a client asks for in its handshake. It may serve any number of
// connections.
type Request struct {
	Host         string   // what the Host field says, such as "example.com:8080"
	Path         string   // with the query, such as "/ws?room=1"
	Subprotocols []string // offered in this order
	// Deflate is the offer of permessage-deflate (RFC 7692); nil makes none.
	Deflate *deflate.Params
	Headers []Header
}

// Append appends the request (RFC 6455, 4.1). Nothing is allocated if dst has
// room.
func (q *Request) Append(dst []byte, key Key) []byte {
	dst = append(dst, "GET "...)
	dst = append(dst, q.Path...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, q.Host...)
	dst = append(dst, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "+websocketVersion+"\r\nSec-WebSocket-Key: "...)
	dst = append(dst, key[:]...)
	for i, name := range q.Subprotocols {
		separator := ", "
		if i == 0 {
			separator = "\r\nSec-WebSocket-Protocol: "
		}
		dst = append(dst, separator...)
		dst = append(dst, name...)
	}
	if q.Deflate != nil {
		dst = append(dst, "\r\nSec-WebSocket-Extensions: "...)
		dst = q.Deflate.Append(dst)
	}
	for _, h := range q.Headers {
		dst = append(dst, "\r\n"...)
		dst = append(dst, h.Name...)
		dst = append(dst, ": "...)
		dst = append(dst, h.Value...)
	}
	return append(dst, "\r\n\r\n"...)
}

// ResponseError is a response that is no acceptance of the handshake.
type ResponseError struct {
	Status  int    // of the HTTP response; 0: it is not HTTP
	Message string // what is wrong, with the beginning of what came
}

// Error implements error.
func (e *ResponseError) Error() string {
	return "websocket: handshake failed: " + e.Message
}

// Check checks the server's answer to the request that was made with key. b
// begins with the whole response head (see [HeadLength]); what follows it may be
// there too and is quoted if the answer is a refusal. err is a [*ResponseError].
// A good answer allocates nothing.
func (q *Request) Check(b []byte, key Key) (Handshake, error) {
	head := b[:HeadLength(b)]
	var r response
	if problem := r.parse(head, q.Subprotocols); problem != "" {
		return Handshake{}, &ResponseError{r.status, fmt.Sprintf("%s: %s", problem, quote(b))}
	}
	if r.status != http.StatusSwitchingProtocols {
		return Handshake{}, &ResponseError{r.status, fmt.Sprintf("the server refused with %s", quoteRefusal(b, len(head)))}
	}
	var expected [28]byte
	if problem := r.check(appendAccept(expected[:0], key), q.Deflate); problem != "" {
		return Handshake{}, &ResponseError{r.status, fmt.Sprintf("%s: %s", problem, quote(b))}
	}
	return Handshake{Subprotocol: r.chosen, Deflates: r.extensions.deflates > 0, Deflate: r.extensions.params}, nil
}

// response is the parsed head of an HTTP response.
type response struct {
	status     int
	count      [fieldCount]int
	accept     []byte
	upgrade    bool
	connected  bool
	extensions extensions
	chosen     string // the subprotocol, one of those offered
	foreign    bool   // the server chose one that was not offered
}

// parse reads the head and checks only its syntax. It returns what is wrong.
func (r *response) parse(head []byte, subprotocols []string) (problem string) {
	line, rest, ok := cutLine(head)
	if !ok || !r.parseStatus(line) {
		return "this is not an HTTP/1.1 response"
	}
	for {
		if line, rest, ok = cutLine(rest); !ok {
			return "a line of the response does not end in CR LF"
		}
		if len(line) == 0 {
			return ""
		}
		name, value, ok := parseField(line)
		if !ok {
			return "a header line of the response is malformed"
		}
		r.take(fieldOf(name), value, subprotocols)
	}
}

// parseStatus reads "HTTP/1.1 101 Switching Protocols" (RFC 9112, 4).
func (r *response) parseStatus(line []byte) bool {
	const form = "HTTP/1.1 ddd"
	if len(line) < len(form) || line[8] != ' ' || len(line) > len(form) && line[len(form)] != ' ' {
		return false
	}
	if major, minor, ok := parseVersion(line[:8]); !ok || major != 1 || minor < 1 {
		return false
	}
	status := 0
	for _, c := range line[9:12] {
		if !isDigit(c) {
			return false
		}
		status = status*10 + int(c-'0')
	}
	r.status = status
	return true
}

func (r *response) take(f field, value []byte, subprotocols []string) {
	r.count[f]++
	switch f {
	case fieldAccept:
		r.accept = value
	case fieldUpgrade:
		r.upgrade = equalFold(value, "websocket")
	case fieldConnection:
		r.connected = r.connected || hasToken(value, "upgrade")
	case fieldProtocol:
		r.choose(value, subprotocols)
	case fieldExtensions:
		r.extensions.take(value)
	}
}

// choose notes the one subprotocol that the server names.
func (r *response) choose(value []byte, subprotocols []string) {
	for _, name := range subprotocols {
		if string(value) == name {
			r.chosen = name
			return
		}
	}
	r.foreign = true
}

// check applies the client's demands (RFC 6455, 4.1; RFC 7692, 7.1) to a 101.
func (r *response) check(expected []byte, offer *deflate.Params) (problem string) {
	switch {
	case !r.upgrade || r.count[fieldUpgrade] != 1 || !r.connected:
		return "the response does not switch to websocket"
	case r.count[fieldAccept] != 1 || !bytes.Equal(r.accept, expected):
		return "Sec-WebSocket-Accept is not the answer to this request's key"
	case !r.extensions.wellFormed(r.count[fieldExtensions]):
		return "Sec-WebSocket-Extensions is malformed"
	case r.extensions.foreign || r.extensions.deflates > 0 && offer == nil:
		return "the server chose an extension that was not offered"
	case r.extensions.deflates > 1 || r.extensions.deflates == 1 && !r.extensions.usable:
		return "the server's parameters of permessage-deflate are not valid"
	case r.extensions.deflates == 1 && !offer.Accepts(r.extensions.params):
		return "the server's parameters of permessage-deflate do not answer the offer"
	case r.count[fieldProtocol] > 1 || r.foreign:
		return "the server chose a subprotocol that was not offered"
	}
	return ""
}

// quoteLimit is how much of a response an error shows, in bytes.
const quoteLimit = 200

// quote shows the first line of b so that it is safe to print.
func quote(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	return fmt.Sprintf("%q", line[:min(len(line), quoteLimit)])
}

// quoteRefusal shows the first line of the head and of the body behind it.
func quoteRefusal(b []byte, head int) string {
	if body := bytes.TrimSpace(b[head:]); len(body) > 0 {
		return quote(b) + ": " + quote(body)
	}
	return quote(b)
}
