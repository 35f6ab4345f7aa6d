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
	"runtime"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"fleetcast/gateway"
)

// serveCommand runs the gateway.
type serveCommand struct {
	options
}

// adminHeaderTimeout keeps a slow request from holding the admin port.
const adminHeaderTimeout = 10 * time.Second

// Help says where options come from, below the command's help.
func (*serveCommand) Help() string {
	return "Each option can be set by a flag, by an environment variable (--max-clients is " + variableOf("max-clients") +
		"), or in a YAML file (max-clients: 1000) that --config names; they count in this order. " +
		"SIGHUP reads the file again. fleetcast config shows what is in effect, and why."
}

// Run serves until ctx ends, then drains.
func (c *serveCommand) Run(ctx context.Context, std streams, args arguments, hangups hangups) error {
	level := new(slog.LevelVar)
	level.Set(slog.Level(c.LogLevel))
	logger := newLogger(std.err, c.LogFormat, level)
	warnOfVariables(logger, c.strange)
	loops := c.loops()
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
	if c.LogFormat.json {
		c.logRunning(logger, g, adminAddr, config.MaxClients)
	} else {
		c.announce(std.out, g, adminAddr, config.MaxClients)
	}

	ended := make(chan struct{})
	go func() { g.Run(); close(ended) }()
	r := reloader{args: args, connections: connections, running: &c.options, gateway: g, logger: logger, level: level}
	c.wait(ctx, r, hangups, ended)
	if ctx.Err() != nil {
		c.drain(g, logger)
	}
	<-ended
	if admin != nil {
		admin.Close()
	}
	return nil
}

// wait returns when ctx ends or the gateway has ended. Until then it reloads
// the configuration at each hangup.
func (c *serveCommand) wait(ctx context.Context, r reloader, hangups hangups, ended <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ended:
			return
		case <-hangups:
			r.reload()
		}
	}
}

// shards is how many loops serve clients.
func (o *options) shards() int { return cmp.Or(int(o.Shards), runtime.GOMAXPROCS(0)) }

// loops is how many loops there are in all.
func (o *options) loops() int {
	if o.Publish.off {
		return o.shards()
	}
	return o.shards() + int(o.IngestLoops)
}

// config turns options into the gateway's configuration.
func (o *options) config(connections int) (gateway.Config, error) {
	config := o.gatewayConfig(connections)
	err := o.shareConnections(&config, connections)
	return config, err
}

// gatewayConfig has all but the numbers of connections, which are the defaults.
func (o *options) gatewayConfig(connections int) gateway.Config {
	config := gateway.DefaultConfig(connections)
	config.Listen, config.Publish = o.Listen.addrs, o.Publish.addrs
	config.Shards, config.IngestLoops = o.shards(), int(o.IngestLoops)
	for _, p := range o.ClientPublish {
		config.ClientPublish = append(config.ClientPublish, string(p))
	}
	for _, a := range o.AllowOrigin {
		config.AllowedOrigins = append(config.AllowedOrigins, string(a))
	}
	config.MaxChannels, config.ClientChannels = int(o.MaxChannels), int(o.ClientChannels)
	config.MaxMessage, config.MaxEvent = int(o.MaxMessage), int(o.MaxEvent)
	config.BacklogBytes, config.BacklogMessages = int(o.Backlog), int(o.BacklogMessages)
	config.Credits, config.PublisherCredits = int64(o.Credits), int64(o.PublisherCredits)
	config.ChannelRetention = time.Duration(o.Retention)
	config.HandshakeTimeout = time.Duration(o.HandshakeTimeout)
	config.PingInterval, config.PongTimeout = time.Duration(o.PingInterval), time.Duration(o.PongTimeout)
	config.RetryWindow = time.Duration(o.RetryWindow)
	config.ConnectionLog = int(o.LogConnections)
	return config
}

// shareConnections divides the connections that the descriptor limit allows
// between clients and publishers.
func (o *options) shareConnections(config *gateway.Config, connections int) error {
	allowed := humanize.Comma(int64(connections))
	clients, publishers := int(o.MaxClients), int(o.MaxPublishers)
	switch {
	case o.Publish.off:
		config.MaxPublishers = 0
	case publishers >= connections:
		return fmt.Errorf("%s is %d, which leaves clients none of the %s connections that the descriptor limit allows; raise it (ulimit -n) or ask for less",
			o.named("max-publishers"), publishers, allowed)
	case publishers > 0:
		config.MaxPublishers = publishers
	}
	room := connections - config.MaxPublishers
	switch {
	case clients <= room:
		config.MaxClients = cmp.Or(clients, room)
		return nil
	case config.MaxPublishers == 0:
		return fmt.Errorf("%s is %d, more than the %s connections that the descriptor limit allows; raise it (ulimit -n) or ask for less",
			o.named("max-clients"), clients, allowed)
	}
	return fmt.Errorf("%s is %d, which with %d publishers (max-publishers) is more than the %s connections that the descriptor limit allows; raise it (ulimit -n) or ask for less",
		o.named("max-clients"), clients, config.MaxPublishers, allowed)
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
	logger.Info("stopping: clients are told when to come back; a second signal stops at once", "drain_timeout", time.Duration(c.DrainTimeout))
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(c.DrainTimeout))
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

// logRunning is announce for those who read logs by machine.
func (c *serveCommand) logRunning(logger *slog.Logger, g *gateway.Gateway, admin []netip.AddrPort, clients int) {
	logger.Info("running", "version", version(), "config", c.Config,
		"clients", "ws://"+c.Listen.shown(g.ClientAddrs())+gateway.Path, "max_clients", clients,
		"publish", c.Publish.shown(g.PublishAddrs()), "admin", c.Admin.shown(admin))
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
