package publish

import "bytes"

// Protocol is what a connection to the publish port speaks.
type Protocol uint8

// The protocols. Undecided means that no telling byte has arrived yet.
const (
	Undecided Protocol = iota
	NDJSON
	RESP
	Unknown
)

// Sniff tells the protocol by the first byte that is not a space, CR or LF, at b[skip]. The
// bytes before it may be discarded; those of NDJSON count as lines, see Lines.Discarded.
func Sniff(b []byte) (protocol Protocol, skip int) {
	for skip < len(b) && (b[skip] == ' ' || b[skip] == '\r' || b[skip] == '\n') {
		skip++
	}
	if skip == len(b) {
		return Undecided, skip
	}
	switch c := b[skip] | 0x20; {
	case b[skip] == '{':
		return NDJSON, skip
	case b[skip] == '*' || 'a' <= c && c <= 'z':
		return RESP, skip
	}
	return Unknown, skip
}

// httpMethods are the methods of RFC 9110, section 9, and RFC 5789.
var httpMethods = [...]string{
	"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
}

// IsHTTP reports whether an inline command's line is one of an HTTP request: its first word
// is a method, or it starts with "Host:", in any case. The connection is then to be closed, so that a web page
// cannot publish by making a browser send a request here.
func IsHTTP(line []byte) bool {
	line = bytes.TrimLeft(line, " \t\r\n")
	const host = "host:"
	if len(line) >= len(host) && bytes.EqualFold(line[:len(host)], []byte(host)) {
		return true
	}
	word := line
	if end := bytes.IndexAny(line, " \t\r\n"); end >= 0 {
		word = line[:end]
	}
	for _, method := range httpMethods {
		if len(word) == len(method) && bytes.EqualFold(word, []byte(method)) {
			return true
		}
	}
	return false
}
