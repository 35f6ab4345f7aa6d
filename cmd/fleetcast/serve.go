package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"fleetcast/gateway"
)

// serveCommand runs the gateway.
type serveCommand struct {
	Listen  endpoint `default:"localhost:8080" placeholder:"HOST:PORT" help:"Where clients connect (${default})."`
	Publish endpoint `default:"localhost:8082" placeholder:"HOST:PORT" help:"Where publishers connect (${default}), or off."`
	Admin   endpoint `default:"localhost:8081" placeholder:"HOST:PORT" help:"Where operators look: health, statistics, profiles (${default}), or off."`

	Shards      int `default:"${shards}" placeholder:"N" help:"Event loops that serve clients (one for each processor: ${default})."`
	IngestLoops int `default:"1" placeholder:"N" help:"Event loops that serve publishers (${default})."`

	AllowOrigin   []origin `sep:"none" placeholder:"ORIGIN" help:"Let web pages of this origin connect (https://example.com), besides those of the gateway's own host; * lets all. May be repeated."`
	ClientPublish []string `sep:"none" placeholder:"PATTERN" help:"Let clients publish to channels of this name; * stands for any characters. Off by default. May be repeated."`

	MaxClients       int           `default:"0" placeholder:"N" help:"Connections of clients; more get 503 (what the descriptor limit allows)."`
	MaxPublishers    int           `default:"0" placeholder:"N" help:"Connections of publishers (an eighth of what the descriptor limit allows, at most 10,000)."`
	MaxChannels      int           `default:"1000000" placeholder:"N" help:"Channels kept in all (${default})."`
	ClientChannels   int           `default:"128" placeholder:"N" help:"Channels that one client may subscribe to (${default})."`
	MaxMessage       size          `default:"64KiB" placeholder:"SIZE" help:"Longest message from a client (${default})."`
	MaxEvent         size          `default:"64KiB" placeholder:"SIZE" help:"Longest data of an event (${default})."`
	Backlog          size          `default:"1MiB" placeholder:"SIZE" help:"What may wait for a client that does not keep up, before it is disconnected (${default})."`
	BacklogMessages  int           `default:"1024" placeholder:"N" help:"Events that may wait for a client (${default})."`
	Credits          size          `default:"64MiB" placeholder:"SIZE" help:"Events under way in the whole process, before publishers are pushed back (${default})."`
	PublisherCredits size          `default:"1MiB" placeholder:"SIZE" help:"Events under way of one connection, before it is pushed back (${default})."`
	Retention        time.Duration `default:"5m" placeholder:"TIME" help:"How long the position of an unused channel is kept (${default})."`

	HandshakeTimeout time.Duration `default:"10s" placeholder:"TIME" help:"Time for a client's handshake (${default})."`
	PingInterval     time.Duration `default:"25s" placeholder:"TIME" help:"Time between pings to a client (${default})."`
	PongTimeout      time.Duration `default:"10s" placeholder:"TIME" help:"Time for a sign of life after a ping (${default})."`
	RetryWindow      time.Duration `default:"10s" placeholder:"TIME" help:"Time over which clients are asked to spread their return when the gateway stops (${default})."`
	DrainTimeout     time.Duration `default:"30s" placeholder:"TIME" help:"Longest time from the signal to stop to the end (${default})."`

	LogLevel slog.Level `default:"info" placeholder:"LEVEL" help:"Least severe log messages shown: debug, info, warn or error (${default})."`
}

// size is a number of bytes in human units: 512, 64KiB, 1 MB.
type size uint64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > 1<<40 {
		return fmt.Errorf("%q is not a size; write for example 65536, 64KiB or 1MiB", text)
	}
	*s = size(n)
	return nil
}

// adminHeaderTimeout keeps a slow request from holding the admin port.
const adminHeaderTimeout = 10 * time.Second

// Run serves until ctx ends, then drains.
func (c *serveCommand) Run(ctx context.Context, std streams) error {
	logger := slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: c.LogLevel}))
	loops := c.Shards
	if !c.Publish.off {
		loops += c.IngestLoops
	}
	connections, err := raiseDescriptorLimit(loops)
	if err != nil {
		return err
	}
	giveLoopsProcessors(loops)
	config, err := c.config(connections)
	if err != nil {
		return err
	}
	g, err := gateway.New(config, logger)
	if err != nil {
		return withCure(err, servePorts)
	}
	admin, adminAddr, err := c.startAdmin(g, logger)
	if err != nil {
		g.Close()
		return withCure(err, servePorts)
	}
	c.warnOfOpenPorts(logger)
	c.announce(std.out, g, adminAddr, config.MaxClients)

	ended := make(chan struct{})
	go func() { g.Run(); close(ended) }()
	select {
	case <-ctx.Done():
		c.drain(g, logger)
	case <-ended:
	}
	<-ended
	if admin != nil {
		admin.Close()
	}
	return nil
}

// config turns flags into the gateway's configuration.
func (c *serveCommand) config(connections int) (gateway.Config, error) {
	patterns, err := gateway.ParsePatterns(c.ClientPublish)
	if err != nil {
		return gateway.Config{}, fmt.Errorf("--client-publish: %w", err)
	}
	if c.Listen.off {
		return gateway.Config{}, errors.New("--listen cannot be off: without clients there is nothing to do")
	}
	config := gateway.DefaultConfig(connections)
	config.Listen, config.Publish = c.Listen.addrs, c.Publish.addrs
	config.Shards, config.IngestLoops = c.Shards, c.IngestLoops
	config.ClientPublish = patterns
	for _, o := range c.AllowOrigin {
		config.AllowedOrigins = append(config.AllowedOrigins, string(o))
	}
	if err := c.shareConnections(&config, connections); err != nil {
		return gateway.Config{}, err
	}
	config.MaxChannels, config.ClientChannels = c.MaxChannels, c.ClientChannels
	config.MaxMessage, config.MaxEvent = int(c.MaxMessage), int(c.MaxEvent)
	config.BacklogBytes, config.BacklogMessages = int(c.Backlog), c.BacklogMessages
	config.Credits, config.PublisherCredits = int64(c.Credits), int64(c.PublisherCredits)
	config.ChannelRetention = c.Retention
	config.HandshakeTimeout = c.HandshakeTimeout
	config.PingInterval, config.PongTimeout = c.PingInterval, c.PongTimeout
	config.RetryWindow = c.RetryWindow
	return config, nil
}

// shareConnections divides the connections that the descriptor limit allows
// between clients and publishers.
func (c *serveCommand) shareConnections(config *gateway.Config, connections int) error {
	allowed := humanize.Comma(int64(connections))
	switch {
	case c.Publish.off:
		config.MaxPublishers = 0
	case c.MaxPublishers >= connections:
		return fmt.Errorf("--max-publishers %d leaves clients none of the %s connections that the descriptor limit allows; raise it (ulimit -n) or ask for less",
			c.MaxPublishers, allowed)
	case c.MaxPublishers > 0:
		config.MaxPublishers = c.MaxPublishers
	}
	room := connections - config.MaxPublishers
	switch {
	case c.MaxClients <= room:
		config.MaxClients = cmp.Or(c.MaxClients, room)
		return nil
	case config.MaxPublishers == 0:
		return fmt.Errorf("--max-clients %d is more than the %s connections that the descriptor limit allows; raise it (ulimit -n) or ask for less",
			c.MaxClients, allowed)
	}
	return fmt.Errorf("--max-clients %d and %d publishers (--max-publishers) are more than the %s connections that the descriptor limit allows; raise it (ulimit -n) or ask for less",
		c.MaxClients, config.MaxPublishers, allowed)
}

// startAdmin serves the admin port in the background.
func (c *serveCommand) startAdmin(g *gateway.Gateway, logger *slog.Logger) (*http.Server, []netip.AddrPort, error) {
	if c.Admin.off {
		return nil, nil, nil
	}
	server := &http.Server{
		Handler:           g.AdminHandler(gateway.Admin{Version: version()}),
		ReadHeaderTimeout: adminHeaderTimeout,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	var bound []netip.AddrPort
	for _, addr := range c.Admin.addrs {
		if addr.Port() == 0 && len(bound) > 0 {
			addr = netip.AddrPortFrom(addr.Addr(), bound[0].Port())
		}
		listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
		if err != nil {
			server.Close()
			return nil, nil, fmt.Errorf("open the admin port: %w", err)
		}
		bound = append(bound, listener.Addr().(*net.TCPAddr).AddrPort())
		go func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				logger.Error("the admin port has failed", "error", err)
			}
		}()
	}
	return server, bound, nil
}

func (c *serveCommand) drain(g *gateway.Gateway, logger *slog.Logger) {
	logger.Info("stopping: clients are told when to come back; a second signal stops at once", "drain_timeout", c.DrainTimeout)
	ctx, cancel := context.WithTimeout(context.Background(), c.DrainTimeout)
	defer cancel()
	if err := g.Drain(ctx); err != nil {
		logger.Warn("stopped before everyone was gone", "error", err)
		return
	}
	logger.Info("stopped")
}

func (c *serveCommand) warnOfOpenPorts(logger *slog.Logger) {
	for _, port := range []struct {
		flag string
		at   *endpoint
		who  string
	}{
		{"--listen", &c.Listen, "subscribe to every channel"},
		{"--publish", &c.Publish, "publish to every channel"},
		{"--admin", &c.Admin, "see statistics and profiles, publish, disconnect clients and stop the gateway"},
	} {
		if port.at.public() {
			logger.Warn("a port is open to other machines and nothing authenticates: whoever reaches it can "+port.who,
				"flag", port.flag, "address", port.at.text)
		}
	}
}

// announce says in a few lines what a newcomer needs.
func (c *serveCommand) announce(w io.Writer, g *gateway.Gateway, admin []netip.AddrPort, clients int) {
	fmt.Fprintf(w, "fleetcast %s is running\n", version())
	fmt.Fprintf(w, "  clients connect to   ws://%s%s   (up to %s, by the descriptor limit and --max-clients)\n",
		c.Listen.shown(g.ClientAddrs()), gateway.Path, humanize.Comma(int64(clients)))
	if len(g.PublishAddrs()) > 0 {
		at := c.Publish.shown(g.PublishAddrs())
		host, port, _ := net.SplitHostPort(at)
		fmt.Fprintf(w, "  publish to           %s   for example:\n", at)
		fmt.Fprintf(w, "      printf '{\"channel\":\"news\",\"data\":{\"a\":1}}\\n' | nc -N %s %s\n", host, port)
		fmt.Fprintf(w, "      redis-cli -h %s -p %s PUBLISH news '{\"a\":1}'\n", host, port)
	}
	if len(admin) > 0 {
		fmt.Fprintf(w, "  look inside at       http://%s/api/stats\n", c.Admin.shown(admin))
	}
	fmt.Fprintln(w, "  stop with            Ctrl-C")
}

// servePorts are the flags that choose ports, for withCure.
const servePorts = "other ports with --listen, --publish and --admin"

// withCure adds to an error what its reader can do about it. choice says which
// ports the command lets one choose, and how.
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
