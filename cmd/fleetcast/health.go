package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"fleetcast/cmd/internal/options"
)

// healthCommand asks a gateway on this machine whether it is well.
type healthCommand struct {
	Admin   options.Endpoint `default:"${admin}" placeholder:"HOST:PORT" help:"The gateway's admin port (${default}), written as for serve; 0.0.0.0, :: and an empty host are asked on loopback."`
	Ready   bool             `help:"Ask whether it takes clients (/readyz), not only whether it runs (/healthz)."`
	Timeout time.Duration    `default:"3s" placeholder:"TIME" help:"Longest wait for the answer (${default})."`
}

// maxHealthAnswer bounds in bytes how much of an answer is read.
const maxHealthAnswer = 512

// Validate is called by the parser.
func (c *healthCommand) Validate() error {
	var bad outOfRange
	bad.timeout("--timeout", c.Timeout)
	if c.Admin.Off {
		bad.add("--admin (or FLEETCAST_ADMIN) is off: without its admin port a gateway cannot be asked")
	}
	for _, addr := range c.Admin.Addrs {
		if addr.Port() == 0 {
			bad.add("--admin is %s, must name the port", c.Admin.Text)
			break
		}
	}
	return errors.Join(bad...)
}

// Run prints one line and fails unless the gateway is well.
func (c *healthCommand) Run(ctx context.Context, std streams) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	path := "/healthz"
	if c.Ready {
		path = "/readyz"
	}
	url := "http://" + c.Admin.Shown(c.Admin.Addrs) + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// The gateway may have been given another name, but always answers to addresses.
	request.Host = reachable(c.Admin.Addrs)[0].String()
	transport := &http.Transport{DialContext: c.dial, DisableKeepAlives: true} // no proxy
	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w; is a gateway running there? (its --admin)", url, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxHealthAnswer))
	if err != nil {
		return fmt.Errorf("ask %s: read the answer: %w", url, err)
	}
	said, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %q", url, response.Status, said)
	}
	fmt.Fprintf(std.out, "%s answers %q\n", url, said)
	return nil
}

// dial tries the addresses of the admin port in turn, whatever host the request
// names. The error is that of the last.
func (c *healthCommand) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var dialer net.Dialer
	err := errors.New("it names no address")
	for _, addr := range reachable(c.Admin.Addrs) {
		var conn net.Conn
		if conn, err = dialer.DialContext(ctx, network, addr.String()); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// reachable replaces the addresses that stand for all of the machine's by those
// of loopback. A socket of :: mostly takes IPv4 too.
func reachable(addrs []netip.AddrPort) (reached []netip.AddrPort) {
	for _, addr := range addrs {
		if !addr.Addr().IsUnspecified() {
			reached = append(reached, addr)
			continue
		}
		reached = append(reached, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port()))
		if addr.Addr().Is6() {
			reached = append(reached, netip.AddrPortFrom(netip.IPv6Loopback(), addr.Port()))
		}
	}
	return reached
}
