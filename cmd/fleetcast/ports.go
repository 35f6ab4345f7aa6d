package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"fleetcast/cmd/internal/options"
	"fleetcast/gateway"
)

// ports are where the gateway listens: what the options say, or sockets that
// systemd has opened instead.
type ports struct {
	clients, publish, admin port
}

// port is one of them.
type port struct {
	option options.Endpoint
	files  []*os.File       // of systemd; then the option's addresses do not count
	bound  []netip.AddrPort // once it is open
}

// openPorts finds out where to listen.
func openPorts(o *options.Options) (ports, error) {
	p := ports{clients: port{option: o.Listen}, publish: port{option: o.Publish}, admin: port{option: o.Admin}}
	sockets, err := activatedSockets()
	if err != nil {
		return ports{}, err
	}
	for _, passed := range []struct {
		port         *port
		name, option string
	}{{&p.clients, "clients", "listen"}, {&p.publish, "publish", "publish"}, {&p.admin, "admin", "admin"}} {
		if passed.port.files = sockets[passed.name]; len(passed.port.files) == 0 {
			continue
		}
		if passed.port.option.Off {
			return ports{}, fmt.Errorf("systemd passed a socket with the name %q, but that port is off in the configuration: stop its .socket unit, or turn the port on", passed.name)
		}
		passed.port.option.Addrs = nil
		at, err := inheritedAt(passed.port.files)
		if err != nil {
			return ports{}, err
		}
		o.Inherit(passed.option, at)
	}
	if err := o.CheckExposure(); err != nil {
		return ports{}, usageError{err}
	}
	return p, nil
}

// inheritedAt are the addresses at which inherited sockets listen.
func inheritedAt(files []*os.File) (at options.Endpoint, err error) {
	var texts []string
	for _, file := range files {
		l, err := net.FileListener(file)
		if err != nil {
			return at, fmt.Errorf("look at the inherited socket %s: %w", file.Name(), err)
		}
		if addr, ok := l.Addr().(*net.TCPAddr); ok {
			at.Addrs = append(at.Addrs, netip.AddrPortFrom(addr.AddrPort().Addr().Unmap(), addr.AddrPort().Port()))
			texts = append(texts, addr.String())
		}
		l.Close()
	}
	at.Text = strings.Join(texts, ", ")
	return at, nil
}

// close gives the sockets of systemd back; whoever uses them has copies.
func (p *ports) close() {
	for _, files := range [][]*os.File{p.clients.files, p.publish.files, p.admin.files} {
		for _, file := range files {
			file.Close()
		}
	}
}

// configure has the gateway listen there.
func (p *ports) configure(config *gateway.Config) {
	config.Listen, config.ListenFiles = p.clients.option.Addrs, p.clients.files
	config.Publish, config.PublishFiles = p.publish.option.Addrs, p.publish.files
}

func (p *port) on() bool { return !p.option.Off }

// listen opens the port for net/http. Addresses with port 0 get the same one.
func (p *port) listen() (listeners []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range listeners {
				err = errors.Join(err, l.Close())
			}
			listeners = nil
		}
	}()
	for _, file := range p.files {
		l, err := net.FileListener(file)
		if err != nil {
			return listeners, fmt.Errorf("listen on the inherited socket %s: %w", file.Name(), err)
		}
		listeners = append(listeners, l)
	}
	for _, addr := range p.option.Addrs {
		if addr.Port() == 0 && len(listeners) > 0 {
			addr = netip.AddrPortFrom(addr.Addr(), listeners[0].Addr().(*net.TCPAddr).AddrPort().Port())
		}
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
		if err != nil {
			return listeners, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// shown is how a person on this machine reaches the port, or "off".
func (p *port) shown() string {
	if len(p.files) > 0 {
		passed := options.Endpoint{Text: p.bound[0].String()}
		return passed.Shown(p.bound)
	}
	return p.option.Shown(p.bound)
}

// opened lists the addresses at which the port listens, separated by commas, or is
// "off". Logs name these: a host name may stand for several addresses, and port 0
// for any port.
func (p *port) opened() string {
	if len(p.bound) == 0 {
		return "off"
	}
	texts := make([]string, len(p.bound))
	for i, addr := range p.bound {
		texts[i] = addr.String()
	}
	return strings.Join(texts, ", ")
}

// public tells whether others than this machine can connect.
func (p *port) public() bool {
	passed := options.Endpoint{Addrs: p.bound}
	return passed.Public()
}
