package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/term"

	"fleetcast/cmd/internal/host"
	"fleetcast/cmd/internal/options"
	"fleetcast/gateway"
	"fleetcast/gateway/webport"
)

// serveCommand runs the gateway.
type serveCommand struct {
	options.Options
}

// Help says where options come from, below the command's help.
func (*serveCommand) Help() string {
	return "Each option can be set by a flag, by an environment variable (--max-clients is " + options.VariableOf("max-clients") +
		"), or in a YAML file (max-clients: 1000) that --config names; they count in this order. " +
		"SIGHUP reads the file again. fleetcast config shows what is in effect, and why."
}

// server is the gateway with what is around it in this process.
type server struct {
	options *options.Options // in effect
	ports   ports
	gateway *gateway.Gateway
	site    *site
	admin   *webport.Port // or nil
	history handover
	notify  *notifier
	logger  *slog.Logger
	log     *logWriter // of the logger
	// terminal tells that a person runs the gateway in a terminal and without a
	// file, so that a hangup can only mean that the terminal is gone.
	terminal bool
}

// Run serves until ctx ends, then drains.
func (c *serveCommand) Run(ctx context.Context, std streams, args arguments, received signals) error {
	err := c.serve(ctx, std, args, received)
	if errors.Is(err, errStoppedEarly) {
		return nil // it was told to
	}
	if err != nil && c.LogFormat.JSON {
		newLogger(std.err, c.LogFormat, slog.LevelInfo).Error("cannot serve", "error", err)
		if errors.As(err, new(usageError)) {
			return usageError{errSilentFailure}
		}
		return errSilentFailure
	}
	return err
}

func (c *serveCommand) serve(ctx context.Context, std streams, args arguments, received signals) error {
	level := new(slog.LevelVar)
	level.Set(slog.Level(c.LogLevel))
	logger, log := newLog(std.err, c.LogFormat, level)
	defer log.flush()
	c.Warn(logger)
	ports, err := openPorts(&c.Options)
	if err != nil {
		return err
	}
	defer ports.close()
	connections, err := host.RaiseDescriptorLimit(c.Loops())
	if err != nil {
		return err
	}
	host.GiveLoopsProcessors(c.Loops())
	config, err := c.GatewayConfig(connections)
	if err != nil {
		return err
	}
	s := &server{options: &c.Options, ports: ports, site: new(site), notify: newNotifier(logger), logger: logger, log: log,
		terminal: c.Config == "" && isTerminal(std.in)}
	ports.configure(&config)
	config.HTTP = s.site
	if s.gateway, err = gateway.New(config, logger); err != nil {
		return withCure(err, servePorts)
	}
	s.ports.clients.bound, s.ports.publish.bound = s.gateway.ClientAddrs(), s.gateway.PublishAddrs()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer s.history.close()
	if err := s.openRest(ctx, stop); err != nil {
		s.gateway.Close()
		return err
	}
	s.site.show(s)
	s.warnOfOpenPorts()
	r := reloader{args: args, connections: connections, server: s, level: level}
	announcement := newAnnouncement(std.out)
	defer announcement.flush()
	return s.run(ctx, received, r, func() { s.announce(announcement, config.MaxClients) })
}

// openRest opens what the gateway needs besides its ports.
func (s *server) openRest(ctx context.Context, stop func()) error {
	s.history.logger, s.history.gateway = s.logger, s.gateway
	if err := s.history.open(string(s.options.HistoryFile)); err != nil {
		return err
	}
	if err := s.history.load(ctx); err != nil {
		return err
	}
	return withCure(s.openAdmin(stop), servePorts)
}

// run serves until ctx ends, then drains. announce is called once clients are
// served.
func (s *server) run(ctx context.Context, received signals, r reloader, announce func()) error {
	s.history.begin()
	ended, left := make(chan struct{}), make(chan struct{})
	defer close(left)
	go func() { s.gateway.Run(); close(ended) }()
	// A reader of the announcement may ask at once whether the gateway is ready. So
	// every loop must answer first. An error means that the gateway is already told to
	// stop.
	_, _ = s.gateway.Stats(ctx)
	watched, unwatch := context.WithCancel(context.Background())
	defer unwatch()
	go s.notify.watch(watched, func(ctx context.Context) error {
		_, err := s.gateway.Stats(ctx) // asks every loop
		return err
	})
	announce()
	s.notify.ready(s.status())
	s.wait(ctx, received.hangups, r, ended)
	select {
	case <-ended:
	default:
		go s.explainSignals(received.again, left)
		s.leave(ended)
	}
	<-ended
	s.notify.during(s.history.save)
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
func (s *server) wait(ctx context.Context, hangups <-chan os.Signal, r reloader, ended <-chan struct{}) {
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

// leave stops the gateway. During the shutdown delay it only says that it is not ready,
// so that load balancers send no more clients. Then it drains.
func (s *server) leave(ended <-chan struct{}) {
	delay, drain := time.Duration(s.options.ShutdownDelay), time.Duration(s.options.DrainTimeout)
	s.notify.stopping(delay + drain + s.history.patience())
	if delay > 0 {
		s.gateway.Unready()
		s.logger.Info("stopping soon: not ready any more, and serving as before until the shutdown delay is over", "shutdown_delay", delay)
		select {
		case <-time.After(delay):
		case <-ended:
			return
		}
	}
	s.drain(drain, ended)
}

// drain returns when the gateway has ended and has logged the last of what it counted.
func (s *server) drain(timeout time.Duration, ended <-chan struct{}) {
	s.logger.Info("stopping: clients are told when to come back", "drain_timeout", timeout)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := s.gateway.Drain(ctx)
	<-ended
	if err != nil {
		s.logger.Warn("stopped before everyone was gone", "error", err)
		return
	}
	s.logger.Info("stopped")
}

// explainSignals says that signals to stop change nothing while the gateway
// stops already.
func (s *server) explainSignals(again <-chan os.Signal, left <-chan struct{}) {
	for {
		select {
		case sig := <-again:
			s.logger.Warn("a signal to stop has come again and changes nothing; a third one, or SIGINT twice, stops at once and cuts clients off", "signal", sig.String())
		case <-left:
			return
		}
	}
}
