package main

import (
	"fmt"
	"net/url"
	"strings"
)

// origin is a value of --allow-origin: * or a web origin as browsers send it,
// in lower case (RFC 6454, 6.2).
type origin string

// UnmarshalText reads * or scheme://host[:port].
func (o *origin) UnmarshalText(text []byte) error {
	s := strings.ToLower(string(text))
	if s == "*" {
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
	*o = origin(s)
	return nil
}

func (o origin) String() string { return string(o) }
