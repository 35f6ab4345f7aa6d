package loadtest

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
)

// target is where the clients connect.
type target struct {
	addr netip.AddrPort
	host string // of the Host field
	path string // with the query
}

// parseTarget takes a ws:// URL apart and resolves its host.
func parseTarget(text string) (target, error) {
	u, err := url.Parse(text)
	if err != nil {
		return target{}, fmt.Errorf("target: %w", err)
	}
	if u.Scheme != "ws" || u.Host == "" {
		return target{}, fmt.Errorf("target %q: want ws://HOST:PORT/PATH", text)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	addr, err := resolve(net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return target{}, fmt.Errorf("target %q: %w", text, err)
	}
	return target{addr, u.Host, u.RequestURI()}, nil
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
