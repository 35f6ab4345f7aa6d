package options

import (
	"fmt"
	"net/netip"
	"strings"
)

// network is a value of --trusted-proxies: an address, or a network such as
// 10.0.0.0/8.
type network netip.Prefix

// UnmarshalText reads an address or a prefix in CIDR notation.
func (n *network) UnmarshalText(text []byte) error {
	s := string(text)
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return fmt.Errorf("%s is neither an address nor a network; write for example 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32", Shown(text))
		}
		addr = addr.Unmap()
		*n = network(netip.PrefixFrom(addr, addr.BitLen()))
		return nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil || p.Addr().Is4In6():
		return fmt.Errorf("%s is not a network; write for example 10.0.0.0/8 or 2001:db8::/32", Shown(text))
	case p != p.Masked():
		return fmt.Errorf("%s is an address within a network; write %s, or the address alone", Shown(text), p.Masked())
	}
	*n = network(p)
	return nil
}

// String leaves out the length of a single address.
func (n network) String() string {
	p := netip.Prefix(n)
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
