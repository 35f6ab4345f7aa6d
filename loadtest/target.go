package loadtest

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// target is where the clients connect. It is resolved once, for all processes.
type target struct {
	Addr netip.AddrPort
	Host string // of the Host field
	Path string // with the query
}

// parseTarget takes a ws:// URL apart and resolves its host. A URL without a
// path gets the usual one.
func parseTarget(text, usualPath string) (target, error) {
	u, err := url.Parse(text)
	if err != nil {
		return target{}, fmt.Errorf("target: %w", err)
	}
	if u.Scheme != "ws" || u.Host == "" || strings.Contains(text, "#") { // RFC 6455, 3
		return target{}, fmt.Errorf("target %q: want ws://HOST:PORT/PATH, without TLS", text)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	addr, err := resolve(net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return target{}, fmt.Errorf("target %q: %w", text, err)
	}
	if u.Path == "" {
		u.Path = usualPath
	}
	return target{addr, u.Host, u.RequestURI()}, nil
}

// sourceShare is how many clients one source address gets. With more, the
// kernel's search for a free port takes longer and longer: beyond half of the
// 28,000 ports it took 100 ms now and then.
const sourceShare = 8000

// usualSources are the addresses to connect from where none was named: several
// of loopback if the server is there and one would be crowded, or else what the
// kernel chooses.
func usualSources(to netip.Addr, clients int) (sources []netip.Addr) {
	if !to.Is4() || !to.IsLoopback() || clients <= sourceShare {
		return nil
	}
	next := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	for range (clients + sourceShare - 1) / sourceShare {
		sources = append(sources, next)
		next = next.Next()
	}
	return sources
}

// resolve turns host:port into an address.
func resolve(hostPort string) (netip.AddrPort, error) {
	addr, err := net.ResolveTCPAddr("tcp", hostPort)
	if err != nil {
		return netip.AddrPort{}, err
	}
	found := addr.AddrPort()
	if !found.Addr().IsValid() {
		return netip.AddrPort{}, fmt.Errorf("%q names no host", hostPort)
	}
	return netip.AddrPortFrom(found.Addr().Unmap(), found.Port()), nil
}
