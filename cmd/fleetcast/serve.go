package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"golang.org/x/term"

	"fleetcast/gateway"
)

// serveCommand runs the gateway.
type serveCommand struct {
	options
}

// Help says where options come from, below the command's help.
func (*serveCommand) Help() string {
	return "Each option can be set by a flag, by an environment variable (--max-clients is " + variableOf("max-clients") +
		"), or in a YAML file (max-clients: 1000) that --config names; they count in this order. " +
		"SIGHUP reads the file again. fleetcast config shows what is in effect, and why."
}

// server is the gateway with what is around it in this process.
type server struct {
	options *options // in effect
	ports   ports
	gateway *gateway.Gateway
	site    *site
	admin   *http.Server // or nil
	notify  *notifier
	logger  *slog.Logger
	log     *logWriter // of the logger
	// terminal tells that a person runs the gateway in a terminal and without a
	// file, so that a hangup can only mean that the terminal is gone.
	terminal bool
}

// Run serves until ctx ends, then drains.
func (c *serveCommand) Run(ctx context.Context, std streams, args arguments, hangups hangups) error {
	err := c.serve(ctx, std, args, hangups)
	if err != nil && c.LogFormat.json {
		newLogger(std.err, c.LogFormat, slog.LevelInfo).Error("cannot serve", "error", err)
		return errSilentFailure
	}
	return err
}

func (c *serveCommand) serve(ctx context.Context, std streams, args arguments, hangups hangups) error {
	level := new(slog.LevelVar)
	level.Set(slog.Level(c.LogLevel))
	logger, log := newLog(std.err, c.LogFormat, level)
	defer log.flush()
	warnOfVariables(logger, c.strange)
	ports, err := c.openPorts()
	if err != nil {
		return err
	}
	defer ports.close()
	connections, err := raiseDescriptorLimit(c.loops())
	if err != nil {
		return err
	}
	giveLoopsProcessors(c.loops())
	config, err := c.config(connections)
	if err != nil {
		return err
	}
	s := &server{options: &c.options, ports: ports, site: new(site), notify: newNotifier(logger), logger: logger, log: log,
		terminal: c.Config == "" && isTerminal(std.in)}
	ports.configure(&config)
	config.HTTP = s.site
	if s.gateway, err = gateway.New(config, logger); err != nil {
		return withCure(err, servePorts)
	}
	s.ports.clients.bound, s.ports.publish.bound = s.gateway.ClientAddrs(), s.gateway.PublishAddrs()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := s.openAdmin(stop); err != nil {
		s.gateway.Close()
		return withCure(err, servePorts)
	}
	s.site.show(s)
	s.warnOfOpenPorts()
	r := reloader{args: args, connections: connections, server: s, level: level}
	announcement := newAnnouncement(std.out)
	defer announcement.flush()
	return s.run(ctx, hangups, r, func() { s.announce(announcement, config.MaxClients) })
}

// run serves until ctx ends, then drains. announce is called once clients are
// served.
func (s *server) run(ctx context.Context, hangups hangups, r reloader, announce func()) error {
	ended := make(chan struct{})
	go func() { s.gateway.Run(); close(ended) }()
	watched, unwatch := context.WithCancel(context.Background())
	defer unwatch()
	go s.notify.watch(watched, func(ctx context.Context) error {
		_, err := s.gateway.Stats(ctx) // asks every loop
		return err
	})
	announce()
	s.notify.ready(s.status())
	s.wait(ctx, hangups, r, ended)
	select {
	case <-ended:
	default:
		s.drain()
	}
	<-ended
	if s.admin != nil {
		s.admin.Close()
	}
	return nil
}

// isTerminal tells whether r is one.
func isTerminal(r io.Reader) bool {
	file, ok := r.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// wait returns when ctx ends, the terminal is gone, or the gateway has ended.
// Until then it reloads the configuration at each hangup.
func (s *server) wait(ctx context.Context, hangups hangups, r reloader, ended <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ended:
			return
		case <-hangups:
			if s.terminal {
				return
			}
			s.notify.reloading()
			r.reload()
			s.notify.ready(s.status())
		}
	}
}

func (s *server) drain() {
	s.logger.Info("stopping: clients are told when to come back; a second signal stops at once", "drain_timeout", time.Duration(s.options.DrainTimeout))
	s.notify.stopping(time.Duration(s.options.DrainTimeout))
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.options.DrainTimeout))
	defer cancel()
	if err := s.gateway.Drain(ctx); err != nil {
		s.logger.Warn("stopped before everyone was gone", "error", err)
		return
	}
	s.logger.Info("stopped")
}
