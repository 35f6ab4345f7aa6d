package publish

import (
	"bytes"
	"strconv"
)

// Protocol is what a connection to the publish port speaks.
type Protocol uint8

// The protocols. Undecided means that no telling byte has arrived yet. TLS and UTF16 are not spoken here,
// but are recognised, so that whoever made the mistake can be told.
const (
	Undecided Protocol = iota
	NDJSON
	RESP
	TLS
	UTF16
	Unknown
)

// Sniff tells the protocol by the first byte, at b[skip], that is not a space, CR, LF
// or part of a byte order mark of UTF-8. The bytes before it may be discarded, even
// while the result is Undecided. In NDJSON they count as lines, see Lines.Discarded.
func Sniff(b []byte) (protocol Protocol, skip int) {
	for skip < len(b) {
		switch b[skip] {
		case ' ', '\r', '\n':
			skip++
			continue
		case mark[0]:
			if rest := b[skip:]; len(rest) < len(mark) && bytes.HasPrefix(mark, rest) {
				return Undecided, skip // the start of a mark
			} else if bytes.HasPrefix(rest, mark) {
				skip += len(mark)
				continue
			}
		}
		if isUTF16(b[skip:]) {
			return UTF16, skip
		}
		return firstByte(b[skip]), skip
	}
	return Undecided, skip
}

// isUTF16 reports whether b starts with a byte order mark of UTF-16, or with a printable
// character of ASCII in UTF-16. No text in UTF-8 that is a request starts like that.
func isUTF16(b []byte) bool {
	if b[0] == 0xff || b[0] == 0xfe {
		return true
	}
	return len(b) > 1 && (b[1] == 0 && isGraphic(b[0]) || b[0] == 0 && isGraphic(b[1]))
}

func isGraphic(c byte) bool { return ' ' < c && c < 0x7f }

func firstByte(c byte) Protocol {
	switch lower := c | 0x20; {
	case c == tlsHandshake:
		return TLS
	case c == '{':
		return NDJSON
	case c == '*' || 'a' <= lower && lower <= 'z':
		return RESP
	}
	return Unknown
}

// mark is the byte order mark of UTF-8.
var mark = []byte("\xef\xbb\xbf")

// tlsHandshake is the type of a TLS record that holds a hello.
const tlsHandshake = 22

// httpMethods are the methods of RFC 9110, section 9, and RFC 5789.
var httpMethods = [...]string{
	"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
	"PRI", // HTTP/2 begins with it
}

// IsHTTP reports whether an inline command's line is part of an HTTP request: its first
// word is a method, its last one is a version of HTTP, or it starts with "Host:", in any
// case. The caller must then close the connection, so that a web page cannot publish by
// making a browser send a request here. The version counts because a page whose name
// leads here may choose the method, such as PUBLISH.
func IsHTTP(line []byte) bool {
	line = bytes.Trim(line, " \t\r\n")
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
	return endsWithVersion(line)
}

// endsWithVersion reports whether a line ends with a version of HTTP, as a request line
// does.
func endsWithVersion(line []byte) bool {
	const form = " HTTP/1.1"
	if len(line) < len(form) {
		return false
	}
	version := line[len(line)-len(form):]
	return bytes.EqualFold(version[:len(" HTTP/")], []byte(" HTTP/")) && version[6]-'0' <= 9 && version[7] == '.' && version[8]-'0' <= 9
}

// AppendHTTPRefusal appends the response to an HTTP request with this request line. If
// line is no request line, such as a word of RESP that is also an HTTP method, it
// appends an error of RESP.
func AppendHTTPRefusal(dst, line []byte) []byte {
	if !bytes.Contains(bytes.ToUpper(line), []byte(" HTTP/")) {
		return AppendRESPError(dst, "ERR this looks like HTTP, which this port does not take; it takes JSON lines and RESP")
	}
	const body = "This is the publish port of fleetcast, which takes JSON lines and RESP, but not HTTP.\n" +
		"To publish by HTTP: POST /api/publish on the admin port (--admin, by default http://localhost:8081),\n" +
		"with the header Content-Type: application/json.\n"
	dst = append(dst, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"+
		"X-Content-Type-Options: nosniff\r\nConnection: close\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	if method, _, _ := bytes.Cut(bytes.TrimLeft(line, " "), []byte{' '}); bytes.EqualFold(method, []byte("HEAD")) {
		return dst
	}
	return append(dst, body...)
}
