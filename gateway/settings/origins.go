package settings

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"fleetcast/codec/websocket"
)

// origins are the origins whose web pages may connect, besides pages of the host that
// is connected to. It is immutable.
type origins struct {
	all      bool
	names    map[string]bool
	patterns []originPattern
}

// originPattern is scheme://*.domain[:port].
type originPattern struct {
	scheme string // with ://
	rest   string // .domain[:port], with the dot
}

// newOrigins takes origins as browsers send them, null among them,
// https://*.example.com for those of every host below example.com, and * for all.
func newOrigins(allowed []string) origins {
	o := origins{names: make(map[string]bool, len(allowed))}
	for _, origin := range allowed {
		scheme, rest, isPattern := strings.Cut(origin, "://*.")
		switch {
		case origin == "*":
			o.all = true
		case isPattern:
			o.patterns = append(o.patterns, originPattern{scheme + "://", "." + rest})
		default:
			o.names[origin] = true
		}
	}
	return o
}

// allow decides about a page of origin that connects to host.
func (o *origins) allow(origin, host []byte) bool {
	return o.all || o.names[string(origin)] || websocket.SameOrigin(origin, host) ||
		slices.ContainsFunc(o.patterns, func(p originPattern) bool { return p.matches(origin) })
}

// matches tells whether origin has the scheme and port of the pattern, and one or
// more labels before its domain.
func (p originPattern) matches(origin []byte) bool {
	host, ok := bytes.CutPrefix(origin, []byte(p.scheme))
	if !ok {
		return false
	}
	labels, ok := bytes.CutSuffix(host, []byte(p.rest))
	if !ok || len(labels) == 0 {
		return false
	}
	name, ok := websocket.HostName(labels)
	return ok && len(name) == len(labels) && name[0] != '.' && name[0] != '['
}

// errForbiddenOrigin refuses pages of an origin that is not allowed.
var errForbiddenOrigin = &websocket.HandshakeError{
	Status: http.StatusForbidden, Reason: websocket.ReasonForbiddenOrigin,
	Message: "pages of this origin may not connect; the Origin must be that of the host that is connected to, " +
		"or start the gateway with --allow-origin and this origin",
}
