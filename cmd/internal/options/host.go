package options

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
)

// hostPattern is a value of --allow-host: a host name in lower case, *.example.com
// for every name below example.com, or * for all.
type hostPattern string

// hostNames are those that a Host may have; DNS also has names with underscores.
var hostNames = regexp.MustCompile(`^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)

// maxHostName is how long a name may be, in bytes (RFC 1035, 2.3.4).
const maxHostName = 253

// UnmarshalText reads a pattern.
func (h *hostPattern) UnmarshalText(text []byte) error {
	s := strings.ToLower(strings.TrimSuffix(string(text), "."))
	if name, port, err := net.SplitHostPort(s); err == nil && name != "" && !strings.Contains(s, "/") {
		return fmt.Errorf("%s has a port, which does not count: write %s", Shown(text), strings.TrimSuffix(strings.TrimSuffix(string(text), port), ":"))
	}
	switch {
	case s == "*" || isIPAddress(s):
	case strings.Contains(s, "://"):
		return fmt.Errorf("%s is a URL: write the host name alone, for example gateway.example.com", Shown(text))
	case strings.ContainsFunc(s, func(r rune) bool { return r > '~' }):
		return fmt.Errorf("%s is not in ASCII: write the host as browsers send it, beginning with xn--", Shown(text))
	case len(s) > maxHostName || !hostNames.MatchString(s):
		return fmt.Errorf("%s is not a host name; write for example gateway.example.com, *.example.com or *", Shown(text))
	}
	*h = hostPattern(s)
	return nil
}

// isIPAddress tells whether s is an address, which is allowed anyway.
func isIPAddress(s string) bool {
	_, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return err == nil
}

func (h hostPattern) String() string { return string(h) }

// allowedHosts are the names by which the gateway may be addressed: those of
// --allow-host, and those at which it is told to listen. The machine's own name is not
// among them, because then the machine and its network would decide which names are
// safe.
func (o *Options) allowedHosts() (names []string) {
	for _, h := range o.AllowHost {
		names = append(names, string(h))
	}
	for _, at := range []Endpoint{o.Listen, o.Admin} {
		host, _, err := net.SplitHostPort(at.Text)
		if err == nil && host != "" && !isIPAddress(host) {
			names = append(names, host)
		}
	}
	return names
}
