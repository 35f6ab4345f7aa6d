package options

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Endpoint is the value of a flag that says where to listen.
type Endpoint struct {
	Text  string
	Off   bool
	Addrs []netip.AddrPort
}

// resolveTimeout bounds the look-up of a host name in a flag.
const resolveTimeout = 5 * time.Second

// UnmarshalText reads host:port or off, which YAML tools may have turned into false.
// localhost means both loopback addresses, an empty host all addresses of the machine.
func (e *Endpoint) UnmarshalText(text []byte) error {
	*e = Endpoint{Text: string(text)}
	if strings.EqualFold(e.Text, "off") || e.Text == "false" {
		e.Text, e.Off = "off", true
		return nil
	}
	host, portText, err := net.SplitHostPort(e.Text)
	if err != nil {
		return fmt.Errorf("%s is not host:port; write for example localhost:8080, 0.0.0.0:8080 or [::1]:8080 (in quotes in a file), or off", Shown(text))
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return fmt.Errorf("%s: the port must be a number from 0 to 65535", Shown(text))
	}
	hosts, err := resolve(host)
	if err != nil {
		return err
	}
	for _, h := range hosts {
		e.Addrs = append(e.Addrs, netip.AddrPortFrom(h, uint16(port)))
	}
	return nil
}

func resolve(host string) ([]netip.Addr, error) {
	v6 := HasIPv6()
	switch host {
	case "localhost":
		addrs := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
		if v6 {
			addrs = append(addrs, netip.IPv6Loopback())
		}
		return addrs, nil
	case "":
		if v6 {
			return []netip.Addr{netip.IPv6Unspecified()}, nil // IPv4 too
		}
		return []netip.Addr{netip.IPv4Unspecified()}, nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("look up the host %q: %w", host, err)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return slices.Compact(addrs), nil
}

// HasIPv6 tells whether the machine has IPv6 at all; containers often do not.
func HasIPv6() bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(addrs, func(a net.Addr) bool {
		ip, ok := a.(*net.IPNet)
		return ok && ip.IP.To4() == nil && ip.IP.IsLoopback()
	})
}

func (e Endpoint) String() string { return e.Text }

// overlaps tells whether both want the same port of the same address.
func (e *Endpoint) overlaps(other *Endpoint) bool {
	for _, a := range e.Addrs {
		for _, b := range other.Addrs {
			sameHost := a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified()
			if a.Port() != 0 && a.Port() == b.Port() && sameHost {
				return true
			}
		}
	}
	return false
}

// Public tells whether others than this machine can connect.
func (e *Endpoint) Public() bool {
	return slices.ContainsFunc(e.Addrs, func(a netip.AddrPort) bool { return !a.Addr().IsLoopback() })
}

// Shown is how a person reaches one of the bound addresses: by name where the
// flag gave the name, else by number.
func (e *Endpoint) Shown(bound []netip.AddrPort) string {
	if len(bound) == 0 {
		return "off"
	}
	port := strconv.Itoa(int(bound[0].Port()))
	host, _, _ := net.SplitHostPort(e.Text)
	if host == "" || bound[0].Addr().IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
