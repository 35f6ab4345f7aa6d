package options

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// origin is a value of --allow-origin: *, null, or a web origin as browsers send it,
// in lower case (RFC 6454, 6.2), whose host may begin with *. for any labels.
type origin string

// UnmarshalText reads *, null, scheme://host[:port] or scheme://*.domain[:port].
func (o *origin) UnmarshalText(text []byte) error {
	s := strings.ToLower(string(text))
	if s == "*" || s == "null" {
		*o = origin(s)
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme == "" || u.Hostname() == "" || u.User != nil || strings.HasSuffix(u.Host, ":"):
		return fmt.Errorf("%q is not an origin; write for example https://example.com, http://localhost:3000 or *", text)
	case u.Path == "/" && s == u.Scheme+"://"+u.Host+"/":
		return fmt.Errorf("%q ends with a slash, which an origin does not: write %s", text, strings.TrimSuffix(s, "/"))
	case s != u.Scheme+"://"+u.Host:
		return fmt.Errorf("%q has more than an origin: write %s://%s", text, u.Scheme, u.Host)
	}
	return o.browsers(u)
}

// usualPorts are those that browsers leave out of an origin.
var usualPorts = map[string]string{"http": "80", "https": "443"}

// browsers takes the origin if it is one that browsers send.
func (o *origin) browsers(u *url.URL) error {
	s := u.Scheme + "://" + u.Host
	notASCII := func(r rune) bool { return r > unicode.MaxASCII }
	switch port := u.Port(); {
	case port != "" && port == usualPorts[u.Scheme]:
		return fmt.Errorf("%q has the usual port, which browsers leave out: write %s", s, strings.TrimSuffix(s, ":"+port))
	case strings.Contains(strings.TrimPrefix(u.Host, "*."), "*"), u.Hostname() == "*.", strings.HasPrefix(u.Host, "*.") && isIPAddress(u.Hostname()[2:]):
		return fmt.Errorf("%q has a * that does not stand for the first labels of a name: write for example https://*.example.com, or * alone for all", s)
	case strings.ContainsFunc(u.Host, notASCII):
		return fmt.Errorf("%q is not in ASCII: write the host as browsers send it, beginning with xn--", s)
	}
	*o = origin(s)
	return nil
}

func (o origin) String() string { return string(o) }
