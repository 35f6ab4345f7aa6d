package settings

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"fleetcast/codec/websocket"
)

// hosts are the host names by which clients may address the gateway. It is
// immutable.
type hosts struct {
	all      bool
	names    map[string]bool
	suffixes []string // with the leading dot
}

// newHosts takes names, *.example.com for every name below example.com, and * for
// all.
func newHosts(allowed []string) hosts {
	h := hosts{names: make(map[string]bool, len(allowed))}
	for _, name := range allowed {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		suffix, isPattern := strings.CutPrefix(name, "*")
		switch {
		case name == "*":
			h.all = true
		case isPattern:
			h.suffixes = append(h.suffixes, suffix)
		default:
			h.names[name] = true
		}
	}
	return h
}

// Allow decides about a Host, with or without a port. IP addresses and localhost
// are always allowed: no web site can have them as its name.
func (h *hosts) Allow(host []byte) bool {
	part, ok := websocket.HostName(host)
	if !ok {
		return false
	}
	if h.all {
		return true
	}
	name := strings.ToLower(strings.TrimSuffix(string(part), "."))
	if h.names[name] || name == "localhost" || strings.HasSuffix(name, ".localhost") && len(name) > len(".localhost") || isAddress(name) {
		return true
	}
	return slices.ContainsFunc(h.suffixes, func(suffix string) bool {
		return strings.HasSuffix(name, suffix) && len(name) > len(suffix) && name[0] != '.'
	})
}

// isAddress tells whether a host is an IP address, those of version 6 in brackets.
func isAddress(name string) bool {
	if inside, ok := strings.CutPrefix(name, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inside, "]"))
		return err == nil && addr.Is6()
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Is4()
}

// ErrForbiddenHost refuses a request for a host name that is not allowed. If the owner
// of a web page points its host name at this address (DNS rebinding), browsers treat
// the page as one of this gateway's own. But its requests carry its host name.
var ErrForbiddenHost = &websocket.HandshakeError{
	Status: http.StatusMisdirectedRequest, Reason: "forbidden_host",
	Message: "the gateway does not know the host name of this request; connect by IP address or localhost, or start the gateway with --allow-host and this name",
}
