package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"fleetcast/gateway"
)

// warnOfOpenPorts says which ports others than this machine can reach without a key or a
// token, and what they can do there.
func (s *server) warnOfOpenPorts() {
	for _, open := range []struct {
		option string
		at     *port
	}{{"listen", &s.ports.clients}, {"publish", &s.ports.publish}, {"admin", &s.ports.admin}} {
		can, unguarded := s.options.Unguarded(open.option)
		if !unguarded || !open.at.public() {
			continue
		}
		attributes := []any{"flag", "--" + open.option}
		if open.at == &s.ports.clients {
			attributes = append(attributes, "channels", shownChannels(s.options.OpenChannels()))
		}
		s.logger.Warn("a port is open to other machines and nothing authenticates: whoever reaches it can "+can, append(attributes, "address", open.at.opened())...)
	}
}

// shownChannels lists patterns of channels, a long list cut short.
func shownChannels(patterns []string) string {
	const most = 20
	if more := len(patterns) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(patterns[:most], " "), more)
	}
	return strings.Join(patterns, " ")
}

// clientURL is where clients of this machine connect.
func (s *server) clientURL() string { return "ws://" + s.ports.clients.shown() + gateway.Path }

// status is what systemctl shows.
func (s *server) status() string { return "clients connect to " + s.clientURL() }

// announce says that the gateway runs: in a few lines what a newcomer needs, or
// one log message for those who read logs by machine.
func (s *server) announce(w *logWriter, clients int) {
	if s.options.LogFormat.JSON {
		s.logger.Info("running", "version", version(), "config", s.options.Config, "clients", s.clientURL(), "max_clients", clients,
			"listen", s.ports.clients.opened(), "publish", s.ports.publish.opened(), "admin", s.ports.admin.opened())
		return
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "fleetcast %s is running\n", version())
	if s.options.Console.On {
		fmt.Fprintf(&text, "  open in a browser    http://%s/%s\n", s.ports.clients.shown(), remark(s.options.Identifies(), "the page has a field for a token"))
	}
	fmt.Fprintf(&text, "  clients connect to   %s   (up to %s, by the descriptor limit and --max-clients)\n",
		s.clientURL(), humanize.Comma(int64(clients)))
	if s.ports.publish.on() {
		s.announcePublish(&text)
	}
	if s.ports.admin.on() {
		_, open := s.options.Unguarded("admin")
		fmt.Fprintf(&text, "  look inside at       http://%s/%s\n", s.ports.admin.shown(), remark(!open, "the page asks for a key of --admin-keys"))
	}
	fmt.Fprintln(&text, "  stop with            Ctrl-C")
	_, _ = w.Write(text.Bytes()) // a log writer cannot fail
}

// remark is what stands behind an address, if it concerns that.
func remark(concerns bool, text string) string {
	if !concerns {
		return ""
	}
	return "   (" + text + ")"
}

// announcePublish says how to publish.
func (s *server) announcePublish(text *bytes.Buffer) {
	at := s.ports.publish.shown()
	host, port, _ := net.SplitHostPort(at)
	fmt.Fprintf(text, "  publish to           %s   for example:\n", at)
	if _, open := s.options.Unguarded("publish"); !open {
		fmt.Fprintf(text, "      fleetcast publish --key-file FILE --to %s news '{\"a\":1}'\n", at)
		fmt.Fprintf(text, "      REDISCLI_AUTH=$(cat FILE) redis-cli -h %s -p %s PUBLISH news '{\"a\":1}'\n", host, port)
		return
	}
	fmt.Fprintf(text, "      printf '{\"channel\":\"news\",\"data\":{\"a\":1}}\\n' | nc -N %s %s\n", host, port)
	fmt.Fprintf(text, "      redis-cli -h %s -p %s PUBLISH news '{\"a\":1}'\n", host, port)
}

// newAnnouncement prints on the standard output what a server says of its start. It
// does not matter whether anybody reads that.
func newAnnouncement(stdout io.Writer) *logWriter {
	return newLogWriter(stdout, standardOutput, func(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) })
}

// servePorts are the flags that choose ports, for withCure.
const servePorts = "other ports with --listen, --publish and --admin"

// withCure adds to an error what its reader can do about it. choice says which ports
// can be chosen, and how.
func withCure(err error, choice string) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%w\nAnother process listens there, perhaps another fleetcast (see: ss -ltnp). "+
			"Stop it, or choose %s", err, choice)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w\nPorts below 1024 need a privilege: choose a higher one, or allow it with CAP_NET_BIND_SERVICE", err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%w\nThis machine has no such address (see: ip address)", err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w\nThe operating system does not permit it", err)
	}
	return err
}
