package websocket

import "bytes"

// request is the parsed head of an HTTP request. Its slices lie in the head.
type request struct {
	method       []byte
	target       []byte
	major, minor byte

	count      [fieldCount]int // how often each field is there
	host       []byte          // of the Host field; see requestedHost
	origin     []byte
	key        []byte
	version    []byte
	userAgent  []byte
	upgrade    bool // an Upgrade field names websocket
	connected  bool // a Connection field names upgrade
	body       bool // a field announces a body
	endless    bool // one does not say in a valid way where it ends
	extensions extensions
	offers     tokens // the subprotocols that are offered
	offered    int    // index of the preferred subprotocol among those offered; len(supported): none
}

// parse reads the head and judges its syntax only. supported are the
// subprotocols in the order in which they are preferred.
func (q *request) parse(head []byte, supported []string) *HandshakeError {
	q.offered = len(supported)
	line, rest, ok := cutLine(TrimEmptyLine(head))
	if !ok {
		return errBadLineEnd
	}
	if !q.parseLine(line) {
		return errNotHTTP
	}
	for {
		if line, rest, ok = cutLine(rest); !ok {
			return errBadLineEnd
		}
		if len(line) == 0 {
			break
		}
		name, value, ok := parseField(line)
		if !ok {
			return errBadField
		}
		q.take(fieldOf(name), value, supported)
	}
	if len(rest) > 0 {
		return errBadLineEnd
	}
	return nil
}

// parseLine reads "GET /ws HTTP/1.1" (RFC 9112, 3).
func (q *request) parseLine(line []byte) (ok bool) {
	first, last := bytes.IndexByte(line, ' '), bytes.LastIndexByte(line, ' ')
	if first < 0 || last == first {
		return false
	}
	q.method, q.target = line[:first], line[first+1:last]
	if q.major, q.minor, ok = parseVersion(line[last+1:]); !ok || !isToken(q.method) || len(q.target) == 0 {
		return false
	}
	for _, c := range q.target {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	return true
}

// RequestLine returns the method and the path, without the query, of a request
// whose head [RequestLength] has found complete. Both lie in head and are nil if
// the line is malformed.
func RequestLine(head []byte) (method, path []byte) {
	var q request
	line, _, ok := cutLine(TrimEmptyLine(head))
	if !ok || !q.parseLine(line) {
		return nil, nil
	}
	if _, path, _, ok = splitTarget(q.target); !ok {
		return nil, nil
	}
	return q.method, path
}

// RequestHost returns the host that a request is for, with its port, as
// [Upgrader.CheckHost] gets it. It lies in head, which [RequestLength] has found
// complete, and is nil if there is none or the head is malformed.
func RequestHost(head []byte) []byte {
	var q request
	if q.parse(head, nil) != nil {
		return nil
	}
	return q.requestedHost()
}

// requestedHost is the host of the target if that is absolute, else of the Host
// field (RFC 9112, 3.2.2).
func (q *request) requestedHost() []byte {
	if authority, _, _, _ := splitTarget(q.target); authority != nil {
		return authority
	}
	return q.host
}

// maxLengthDigits is how long a Content-Length may be, so that it fits an int64.
const maxLengthDigits = 18

// misframed tells whether two readers could disagree about where the request
// ends (RFC 9112, 6.1 and 6.3). Such a request is how others are smuggled past a
// proxy, and is refused wherever it goes to.
func (q *request) misframed() bool {
	lengths, encodings := q.count[fieldContentLength], q.count[fieldTransferEncoding]
	return q.endless || lengths+encodings > 1 || encodings > 0 && q.minor < 1
}

// hasHost tells whether the request has the one valid Host field that it must have (RFC
// 9112, 3.2). HTTP/1.0 has none.
func (q *request) hasHost() bool {
	if q.count[fieldHost] == 0 {
		return q.minor < 1
	}
	_, _, ok := splitHostPort(q.host)
	return ok && q.count[fieldHost] == 1
}

// take notes one field of the head.
func (q *request) take(f field, value []byte, supported []string) {
	q.count[f]++
	switch f {
	case fieldHost:
		q.host = value
	case fieldOrigin:
		q.origin = value
	case fieldKey:
		q.key = value
	case fieldVersion:
		q.version = value
	case fieldUserAgent:
		q.userAgent = value
	case fieldUpgrade:
		q.upgrade = q.upgrade || hasToken(value, "websocket")
	case fieldConnection:
		q.connected = q.connected || hasToken(value, "upgrade")
	case fieldProtocol:
		q.offers.take(value)
		q.offered = preferred(value, supported, q.offered)
	case fieldExtensions:
		q.extensions.take(value)
	case fieldContentLength:
		q.body = q.body || string(value) != "0"
		q.endless = q.endless || !consistsOf(value, &digitBytes) || len(value) > maxLengthDigits
	case fieldTransferEncoding:
		q.body = true
		last := trimSpace(value[bytes.LastIndexByte(value, ',')+1:])
		q.endless = q.endless || !equalFold(last, "chunked")
	}
}

// tokens summarises the fields of one list of tokens. The list must have at least one
// (RFC 6455, 4.3).
type tokens struct {
	first     []byte // nil: there is none
	malformed bool
}

// take notes one field. Empty elements do not count (RFC 9110, 5.6.1.2).
func (t *tokens) take(list []byte) {
	for len(list) > 0 {
		var name []byte
		name, list = nextElement(list)
		switch {
		case len(name) == 0:
		case !isToken(name):
			t.malformed = true
		case t.first == nil:
			t.first = name
		}
	}
}

// preferred returns the smallest index, below best, of the supported
// subprotocols that are in list; best if there is none. Names of subprotocols
// are compared byte for byte.
func preferred(list []byte, supported []string, best int) int {
	for len(list) > 0 && best > 0 {
		var name []byte
		name, list = nextElement(list)
		for i, s := range supported[:best] {
			if string(name) == s {
				best = i
				break
			}
		}
	}
	return best
}

// splitTarget takes the target apart. An absolute one brings an authority that
// stands above the Host field (RFC 9112, 3.2.2); without one authority is nil.
func splitTarget(target []byte) (authority, path, query []byte, ok bool) {
	path = target
	if target[0] != '/' {
		scheme, rest, found := bytes.Cut(target, []byte("://"))
		if !found || !equalFold(scheme, "http") && !equalFold(scheme, "https") {
			return nil, nil, nil, false
		}
		end := bytes.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		authority, path = rest[:end], rest[end:]
		if _, _, valid := splitHostPort(authority); !valid {
			return nil, nil, nil, false
		}
	}
	path, query, _ = bytes.Cut(path, []byte("?"))
	return authority, path, query, true
}
