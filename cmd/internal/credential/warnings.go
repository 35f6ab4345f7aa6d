package credential

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// ExposedWarning is what to tell a user whose file every user of this machine can read. what
// is what the file has, such as "the token".
func ExposedWarning(what, path string) string {
	return "every user of this machine can read the file with " + what + ", " + path + "; chmod o= helps"
}

// ClearTextWarning is what to tell a user whose secret crosses the network in clear text to
// get to an address: a URL, or HOST:PORT, which counts as clear text. It is empty if the way is
// encrypted, or does not leave this machine.
func ClearTextWarning(what, to string) string {
	host, _, err := net.SplitHostPort(to)
	if u, parseErr := url.Parse(to); parseErr == nil && u.Host != "" {
		if u.Scheme == "wss" || u.Scheme == "https" {
			return ""
		}
		host, err = u.Hostname(), nil
	}
	if err != nil || isHere(host) {
		return ""
	}
	return what + " goes to " + host + " in clear text, and everybody on the way can read it"
}

// isHere tells whether a host is this machine by its name. An empty one is.
func isHere(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback() || addr.IsUnspecified()
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	return name == "" || name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// Warnings are what the user of the flags should know who connects to a URL.
func (f *TokenFlags) Warnings(to string) []string {
	if !f.Given() {
		return nil
	}
	warnings := []string{ClearTextWarning("the token", to)}
	if path := f.Exposed(); path != "" {
		warnings = append(warnings, ExposedWarning("the token", path))
	}
	return slices.DeleteFunc(warnings, func(text string) bool { return text == "" })
}

// Warnings are what the user of the flags should know who connects to a URL.
func (f *ManyFlags) Warnings(to string) []string {
	if !f.Given() {
		return nil
	}
	warnings := []string{ClearTextWarning("each token", to)}
	for what, from := range map[string]Reference{"the secret": f.TokenSecret, "the private key": f.TokenKey} {
		if path := from.Exposed(); path != "" {
			warnings = append(warnings, ExposedWarning(what, path))
		}
	}
	return slices.DeleteFunc(warnings, func(text string) bool { return text == "" })
}
