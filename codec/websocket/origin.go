package websocket

import "bytes"

// SameOrigin tells whether a page of origin is one of host's own: their hosts
// are equal without regard to case, and so are their ports, where the default
// port of the origin's scheme stands for a missing one. It allows requests
// without an Origin field (origin nil), which do not come from a web page, and
// refuses "null" and any scheme but http and https (RFC 6454, 7; RFC 6455,
// 10.2).
func SameOrigin(origin, host []byte) bool {
	if origin == nil {
		return true
	}
	scheme, authority, _ := bytes.Cut(origin, []byte("://"))
	var standard string
	switch {
	case equalFold(scheme, "http"):
		standard = "80"
	case equalFold(scheme, "https"):
		standard = "443"
	default:
		return false
	}
	originName, originPort, ok := splitHostPort(authority)
	if !ok {
		return false
	}
	hostName, hostPort, ok := splitHostPort(host)
	if !ok {
		return false
	}
	return bytes.EqualFold(originName, hostName) && samePort(originPort, hostPort, standard)
}

// samePort compares two ports. An empty one stands for the standard port.
func samePort(a, b []byte, standard string) bool {
	if len(a) == 0 {
		return len(b) == 0 || string(b) == standard
	}
	if len(b) == 0 {
		return string(a) == standard
	}
	return bytes.Equal(a, b)
}

// HostName returns the name in a Host, without the port; an IPv6 address keeps its
// brackets. ok is false if host is malformed.
func HostName(host []byte) (name []byte, ok bool) {
	name, _, ok = splitHostPort(host)
	return name, ok
}

// splitHostPort takes "name", "name:port", "[v6]" or "[v6]:port" apart; the
// brackets belong to the name. ok is false for anything else. The port may be
// empty.
func splitHostPort(host []byte) (name, port []byte, ok bool) {
	if len(host) > 0 && host[0] == '[' {
		end := bytes.IndexByte(host, ']') + 1
		name, port = host[:end], host[end:]
		ok = end > 0 && consistsOf(host[1:end-1], &addressBytes)
	} else {
		name = host
		if colon := bytes.IndexByte(host, ':'); colon >= 0 {
			name, port = host[:colon], host[colon:]
		}
		ok = consistsOf(name, &nameBytes)
	}
	if !ok || len(port) == 0 {
		return name, nil, ok
	}
	return name, port[1:], port[0] == ':' && (len(port) == 1 || consistsOf(port[1:], &digitBytes))
}

// What a host may consist of (RFC 3986, 3.2.2). The percent sign is not allowed,
// because no DNS name has it. The comma is not allowed, because it joins two Host
// fields.
var (
	nameBytes    = byteSet("-._~!$&'()*+;=" + alphanumeric)
	addressBytes = byteSet(":.0123456789abcdefABCDEF")
	digitBytes   = byteSet("0123456789")
)
