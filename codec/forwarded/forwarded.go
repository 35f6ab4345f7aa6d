package forwarded

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

// Field is a header field that lists where a request has come along.
type Field uint8

const (
	// XForwardedFor is a list of addresses, of IPv4 with or without a port, of
	// IPv6 with or without brackets, and with a port only in brackets.
	XForwardedFor Field = iota
	// Forwarded is a list of parameters, of which for= is the address (RFC
	// 7239).
	Forwarded
)

// Name is the field's name, in lower case.
func (f Field) Name() string {
	if f == Forwarded {
		return "forwarded"
	}
	return "x-forwarded-for"
}

// Client returns the right-most address in lists that is not trusted, or the
// left-most if all are; its port is 0 if it has none there. lists are the values
// of all such fields of a request, in order. ok is false if there are none, or an
// entry that is malformed, hidden or unknown (RFC 7239, 6.2 and 6.3) comes before
// the answer.
func (f Field) Client(lists [][]byte, trusted func(netip.Addr) bool) (client netip.AddrPort, ok bool) {
	for i := len(lists) - 1; i >= 0; i-- {
		for rest, more := lists[i], true; more; {
			var entry []byte
			rest, entry, more = cutLast(rest, ',')
			if client, ok = f.address(trimSpace(entry)); !ok {
				return netip.AddrPort{}, false
			}
			if !trusted(client.Addr()) {
				return client, true
			}
		}
	}
	return client, ok
}

// address reads one entry.
func (f Field) address(entry []byte) (netip.AddrPort, bool) {
	if f == XForwardedFor {
		return node(string(entry))
	}
	for more := true; more; {
		var pair []byte
		entry, pair, more = cutLast(entry, ';')
		name, value, found := bytes.Cut(pair, []byte("="))
		if !found || len(name) == 0 {
			return netip.AddrPort{}, false
		}
		if strings.EqualFold(string(trimSpace(name)), "for") {
			text, ok := unquote(trimSpace(value))
			if !ok {
				return netip.AddrPort{}, false
			}
			return node(text)
		}
	}
	return netip.AddrPort{}, false
}

// cutLast splits list at its last separator that is not in a quoted string.
// found is false if there is none, and then last is all of it. It reads from the
// right, so that an odd quotation mark on the left cannot reach beyond a
// separator on the right.
func cutLast(list []byte, separator byte) (before, last []byte, found bool) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch c := list[i]; {
		case c == '"' && !escaped(list, i):
			quoted = !quoted
		case c == separator && !quoted:
			return list[:i], list[i+1:], true
		}
	}
	return nil, list, false
}

// escaped tells whether an odd number of backslashes precedes i.
func escaped(b []byte, i int) bool {
	odd := false
	for i--; i >= 0 && b[i] == '\\'; i-- {
		odd = !odd
	}
	return odd
}

// unquote reads a token or a quoted string (RFC 9110, 5.6.4).
func unquote(b []byte) (text string, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return string(b), bytes.IndexByte(b, '"') < 0
	}
	var plain strings.Builder
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '"':
			return plain.String(), i == len(b)-1
		case '\\':
			if i++; i == len(b) {
				return "", false
			}
		}
		plain.WriteByte(b[i])
	}
	return "", false
}

// node reads an address with or without a port. An obfuscated port (RFC 7239,
// 6.3) counts as none.
func node(text string) (netip.AddrPort, bool) {
	host, port := text, ""
	if bracketed, ok := strings.CutPrefix(text, "["); ok {
		var found bool
		if host, port, found = strings.Cut(bracketed, "]"); !found || !strings.Contains(host, ":") || port != "" && port[0] != ':' {
			return netip.AddrPort{}, false
		}
	} else if i := strings.IndexByte(text, ':'); i >= 0 && strings.Count(text, ":") == 1 {
		host, port = text[:i], text[i:]
	}
	ip, err := netip.ParseAddr(host)
	number, ok := portNumber(port)
	if err != nil || !ok || ip.Zone() != "" {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip.Unmap(), number), true
}

// portNumber reads ":443"; "" and ":_hidden" are 0.
func portNumber(text string) (uint16, bool) {
	switch {
	case text == "":
		return 0, true
	case strings.HasPrefix(text, ":_"):
		return 0, len(text) > len(":_")
	}
	n, err := strconv.ParseUint(text[1:], 10, 16)
	return uint16(n), err == nil
}

// trimSpace takes optional white space (RFC 9110, 5.6.3) off both ends.
func trimSpace(b []byte) []byte { return bytes.Trim(b, " \t") }
