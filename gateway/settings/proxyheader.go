package settings

import (
	"fmt"
	"slices"
)

// ProxyHeader is how proxies in front of the gateway say whose connection they
// pass on. Only trusted ones are believed; see [Config].TrustedProxies.
type ProxyHeader uint8

// The ways that there are.
const (
	NoProxyHeader ProxyHeader = iota // they do not; a connection is its peer's
	ProxyProtocol                    // the PROXY protocol, version 1 or 2, before the request
	XForwardedFor                    // the header field X-Forwarded-For
	Forwarded                        // the header field Forwarded (RFC 7239)
)

var proxyHeaderNames = []string{
	NoProxyHeader: "off", ProxyProtocol: "proxy-protocol", XForwardedFor: "x-forwarded-for", Forwarded: "forwarded",
}

// String returns the name that UnmarshalText reads.
func (h ProxyHeader) String() string {
	if int(h) < len(proxyHeaderNames) {
		return proxyHeaderNames[h]
	}
	return fmt.Sprintf("ProxyHeader(%d)", h)
}

// UnmarshalText reads off, proxy-protocol, x-forwarded-for or forwarded.
func (h *ProxyHeader) UnmarshalText(text []byte) error {
	i := slices.Index(proxyHeaderNames, string(text))
	if i < 0 {
		return fmt.Errorf("%.80q is not a way for proxies to name clients; choose off, proxy-protocol, x-forwarded-for or forwarded", text)
	}
	*h = ProxyHeader(i)
	return nil
}
