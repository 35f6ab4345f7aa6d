package websocket

import (
	"bytes"

	"fleetcast/codec/deflate"
)

// MaxHandshake is how long a request or response head usually may be, in bytes.
const MaxHandshake = 8 << 10

// RequestLength returns the length of the request head at the start of b, as
// [HeadLength] does, 0 while more of it is to come. An empty line before the request
// line counts as part of it. refused is set as soon as no acceptable head can begin
// like b: it is longer than limit bytes, or does not begin like HTTP. Examples are a
// TLS client's greeting, for which the gateway would otherwise wait until the timeout,
// and a header of the PROXY protocol. seen is how much of b an earlier call has found
// incomplete. These bytes are not searched again, so that a head that comes byte by
// byte costs no more.
func RequestLength(b []byte, seen, limit int) (n int, refused *HandshakeError) {
	switch {
	case bytes.HasPrefix(b, proxyV1), bytes.HasPrefix(b, proxyV2):
		return 0, errProxyHeader
	case string(b) == twoEmptyLines:
		return 0, nil // the next byte decides
	case bytes.HasPrefix(b, []byte(twoEmptyLines)):
		return len(twoEmptyLines), nil // a request without a request line
	}
	head := TrimEmptyLine(b)
	if len(head) > 0 && !firstBytes[head[0]] {
		if head[0] == tlsHandshake {
			return 0, errTLS
		}
		return 0, errNotHTTP
	}
	skipped := len(b) - len(head)
	if n = headEnd(head, max(seen-skipped, 0)); n > 0 {
		n += skipped
	}
	switch {
	case n <= limit && (n > 0 || len(b) < limit):
		return n, nil
	case bytes.IndexByte(head[:limit-2], '\n') < 0:
		return 0, newTargetTooLong(limit)
	}
	return 0, newHeadTooLarge(limit)
}

// tlsHandshake is the type of the TLS record that holds a client's greeting.
const tlsHandshake = 22

// What tells a header of the PROXY protocol, in either version, from a request.
const twoEmptyLines = "\r\n\r\n"

var (
	proxyV1 = []byte("PROXY ")
	proxyV2 = []byte(twoEmptyLines + "\x00")
)

// firstBytes are the bytes that a head may begin with. Line ends are among them because
// they may begin an empty line; other checks refuse the rest.
var firstBytes = byteSet("\r\n" + tokenMembers)

// TrimEmptyLine takes one empty line off the start of a request, as RFC 9112,
// 2.2 wants servers to.
func TrimEmptyLine(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\r\n")) }

// HeadLength returns the length of the request or response head at the start of
// b, its empty line included, and 0 if b does not hold all of it. A line that
// ends in a bare LF counts here, so that whoever sends such a head is refused
// at once and not when the time for the handshake is up.
func HeadLength(b []byte) int { return headEnd(b, 0) }

// headEnd is [HeadLength] of b. The first seen bytes of b hold no end.
func headEnd(b []byte, seen int) int {
	for i := seen; ; i++ {
		next := bytes.IndexByte(b[i:], '\n')
		if next < 0 {
			return 0
		}
		i += next
		line := bytes.TrimSuffix(b[:i], []byte("\r"))
		if len(line) == 0 || line[len(line)-1] == '\n' {
			return i + 1
		}
	}
}

// cutLine splits the first line off b. ok is false if it does not end in CRLF.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' {
		return nil, b, false
	}
	return b[:i-1], b[i+1:], true
}

// field is a header field that the handshake knows.
type field int

const (
	fieldOther field = iota
	fieldHost
	fieldOrigin
	fieldUpgrade
	fieldConnection
	fieldKey
	fieldVersion
	fieldAccept
	fieldProtocol
	fieldExtensions
	fieldUserAgent
	fieldContentLength
	fieldTransferEncoding
	fieldCount
)

// fieldNames are in lower case.
var fieldNames = [fieldCount]string{
	fieldHost:             "host",
	fieldOrigin:           "origin",
	fieldUpgrade:          "upgrade",
	fieldConnection:       "connection",
	fieldKey:              "sec-websocket-key",
	fieldVersion:          "sec-websocket-version",
	fieldAccept:           "sec-websocket-accept",
	fieldProtocol:         "sec-websocket-protocol",
	fieldExtensions:       "sec-websocket-extensions",
	fieldUserAgent:        "user-agent",
	fieldContentLength:    "content-length",
	fieldTransferEncoding: "transfer-encoding",
}

// fieldOf finds the field that a name stands for, whatever its case.
func fieldOf(name []byte) field {
	for f := fieldHost; f < fieldCount; f++ {
		if equalFold(name, fieldNames[f]) {
			return f
		}
	}
	return fieldOther
}

// parseField splits a header line (RFC 9112, 5). It refuses a folded line, a
// space before the colon, and control bytes in the value.
func parseField(line []byte) (name, value []byte, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i < 0 || !isToken(line[:i]) {
		return nil, nil, false
	}
	value = trimSpace(line[i+1:])
	if len(value) > 0 && !consistsOf(value, &valueBytes) {
		return nil, nil, false
	}
	return line[:i], value, true
}

// isToken tells whether b is a token (RFC 9110, 5.6.2).
func isToken(b []byte) bool { return consistsOf(b, &tokenBytes) }

var tokenBytes = byteSet(tokenMembers)

const tokenMembers = "!#$%&'*+-.^_`|~" + alphanumeric

// valueBytes are those of a field value (RFC 9110, 5.5).
var valueBytes = func() (set [256]bool) {
	for c := range set {
		set[c] = c >= ' ' && c != 0x7f || c == '\t'
	}
	return set
}()

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// consistsOf tells whether b has members of set only, and at least one.
func consistsOf(b []byte, set *[256]bool) bool {
	for _, c := range b {
		if !set[c] {
			return false
		}
	}
	return len(b) > 0
}

func byteSet(members string) (set [256]bool) {
	for i := range len(members) {
		set[members[i]] = true
	}
	return set
}

// trimSpace takes optional white space (RFC 9110, 5.6.3) off both ends. Unlike
// bytes.Trim it never returns nil for an empty value, because an empty field differs
// from an absent one.
func trimSpace(b []byte) []byte {
	b = trimSpaceLeft(b)
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// nextElement splits the first element off a comma-separated list.
func nextElement(list []byte) (element, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trimSpace(list[:i]), list[i+1:]
	}
	return trimSpace(list), nil
}

// hasToken tells whether a list has the element token (in lower case), whatever
// its case there.
func hasToken(list []byte, token string) bool {
	for len(list) > 0 {
		var element []byte
		if element, list = nextElement(list); equalFold(element, token) {
			return true
		}
	}
	return false
}

// equalFold compares b with lower, which is in lower case, without regard to
// the case of ASCII letters. Other folding would let look-alikes of ASCII pass.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// parseVersion reads "HTTP/1.1" (RFC 9112, 2.3).
func parseVersion(b []byte) (major, minor byte, ok bool) {
	const form = "HTTP/d.d"
	if len(b) != len(form) || string(b[:5]) != form[:5] || b[6] != '.' || !isDigit(b[5]) || !isDigit(b[7]) {
		return 0, 0, false
	}
	return b[5] - '0', b[7] - '0', true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// Handshake is what a completed handshake agreed on, and what the request said
// that decisions are based on. The slices lie in the head and do not outlive it.
type Handshake struct {
	Subprotocol string // one of those configured here, or any (see Upgrader.AnySubprotocol); empty: none
	Host        []byte // the request's authority (server side only)
	Origin      []byte // nil without an Origin field (server side only)
	Query       []byte // what follows the target's question mark (server side only)
	Deflates    bool   // permessage-deflate is in use
	Deflate     deflate.Params
}

// websocketVersion is the only version there is (RFC 6455, 4.1).
const websocketVersion = "13"

// FieldValues appends the values of all fields with a name, given in lower case,
// to dst, in order. They lie in head, a request's as [RequestLength] delimits
// it. A line without a name, and a malformed field with this one, ends them.
func FieldValues(dst [][]byte, head []byte, name string) [][]byte {
	_, rest, ok := cutLine(TrimEmptyLine(head))
	for ok {
		var line []byte
		if line, rest, ok = cutLine(rest); !ok {
			break
		}
		i := bytes.IndexByte(line, ':')
		if i >= 0 && !equalFold(line[:i], name) {
			continue // the Upgrader looks at all lines, this is for a few
		}
		_, value, valid := parseField(line)
		if !valid {
			break
		}
		dst = append(dst, value)
	}
	return dst
}
