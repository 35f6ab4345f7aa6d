package main

import (
	"io"
	"log/slog"
	"strings"

	"github.com/alecthomas/kong"

	"fleetcast/cmd/internal/options"
	"fleetcast/gateway"
)

// reloader reads the configuration again while the gateway runs.
type reloader struct {
	args        arguments
	connections int // that the descriptor limit allows
	server      *server
	level       *slog.LevelVar
}

// reload reads the options again, from the same places as at the start, and
// puts those into effect that can change live. After an error nothing has
// changed.
func (r *reloader) reload() {
	next, err := readOptions(r.args)
	if err != nil {
		r.refuse(err)
		return
	}
	next.InheritFrom(r.server.options)
	// A restart with these options must be possible, too.
	if _, err := r.checked(next); err != nil {
		r.refuse(err)
		return
	}
	changed, waiting := r.server.options.Differences(next)
	next.KeepRestarting(r.server.options)
	config, err := r.checked(next)
	if err != nil {
		r.refuse(err)
		return
	}
	if len(changed) > 0 {
		if err := r.server.gateway.Reconfigure(config); err != nil {
			r.refuse(err)
			return
		}
	}
	*r.server.options = *next
	r.server.site.show(r.server)
	// What has changed is logged at the more talkative of both levels.
	r.level.Set(min(r.level.Level(), slog.Level(next.LogLevel)))
	r.report(changed, waiting)
	if len(changed)+len(waiting) > 0 {
		next.WarnOfNoEffect(r.server.logger)
		r.server.warnOfOpenPorts()
	}
	r.level.Set(slog.Level(next.LogLevel))
}

// checked is the gateway's configuration by options, for the sockets and the connections
// that this process has.
func (r *reloader) checked(o *options.Options) (gateway.Config, error) {
	if err := o.CheckExposure(); err != nil {
		return gateway.Config{}, err
	}
	return o.GatewayConfig(r.connections)
}

// readOptions parses the command line again, with the environment and the file.
func readOptions(args arguments) (*options.Options, error) {
	var cli commands
	parser := newParser(&cli, kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}))
	if _, err := parser.Parse(args); err != nil {
		return nil, err
	}
	return &cli.Serve.Options, nil
}

func (r *reloader) refuse(err error) {
	r.server.logger.Error("the configuration was not reloaded, nothing has changed", "errors", strings.Split(err.Error(), "\n"))
}

func (r *reloader) report(changed, waiting []string) {
	var attributes []any
	if len(changed) > 0 {
		attributes = append(attributes, "changed", changed)
	}
	switch {
	case len(waiting) > 0:
		r.server.logger.Warn("reloaded; some changes need a restart", append(attributes, "needs_restart", waiting)...)
	case len(changed) > 0:
		r.server.logger.Info("reloaded", attributes...)
	default:
		r.server.logger.Info("reloaded; nothing has changed")
	}
}
