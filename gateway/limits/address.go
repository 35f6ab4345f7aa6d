package limits

import (
	"fmt"
	"net/netip"

	"fleetcast/poller"
)

// Network is what counts as one address: all of IPv4, of IPv6 the /64 that one
// subscriber has.
func Network(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return addr
	}
	p, err := addr.Prefix(64)
	if err != nil {
		panic(fmt.Sprintf("gateway: no network of %v: %v", addr, err))
	}
	return p.Addr()
}

// PeerText is the address of a socket's peer as text, or empty if it is gone.
func PeerText(fd int) string {
	addr := poller.RemoteAddr(fd)
	return AddressText(netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()))
}

// AddressText is an address as text: without a port that is not known, and empty if
// there is none.
func AddressText(addr netip.AddrPort) string {
	switch {
	case !addr.IsValid():
		return ""
	case addr.Port() == 0:
		return addr.Addr().String()
	}
	return addr.String()
}
