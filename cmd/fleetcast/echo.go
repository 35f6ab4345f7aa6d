package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"fleetcast/cmd/internal/host"
	"fleetcast/cmd/internal/options"
	"fleetcast/gateway/echo"
)

// echoCommand runs the echo server.
type echoCommand struct {
	Listen     options.Endpoint `default:"localhost:9001" placeholder:"HOST:PORT" help:"Where to listen (${default})."`
	Loops      int              `default:"${shards}" placeholder:"N" help:"Event loops (one for each processor: ${default})."`
	MaxMessage options.Size     `default:"16MiB" placeholder:"SIZE" help:"Longest message that is echoed (${default})."`

	MessageTimeout options.Period `default:"30s" placeholder:"TIME" help:"Time for a client's message to arrive whole (${default}); then close code 1008."`
	InputMemory    options.Size   `default:"256MiB" placeholder:"SIZE" help:"What the unfinished messages and handshakes of all clients may hold (${default}); beyond, close code 1013."`

	Compression options.Toggle `default:"on" placeholder:"on|off" help:"Compress for clients that offer permessage-deflate (${default})."`
}

// echoDrain is how long clients of a stopping echo server have to close.
const echoDrain = 3 * time.Second

// Validate is called by the parser.
func (c *echoCommand) Validate() error {
	var bad outOfRange
	bad.number("--loops", c.Loops, 1)
	bad.number("--max-message", int(c.MaxMessage), 1)
	bad.timeout("--message-timeout", time.Duration(c.MessageTimeout))
	if c.InputMemory < c.MaxMessage {
		bad.add("--input-memory is %v, must be at least --max-message, which is %v", c.InputMemory, c.MaxMessage)
	}
	return errors.Join(bad...)
}

// Run serves until ctx ends.
func (c *echoCommand) Run(ctx context.Context, std streams) error {
	if c.Listen.Off {
		return fmt.Errorf("--listen cannot be off")
	}
	if _, err := host.RaiseDescriptorLimit(c.Loops); err != nil {
		return err
	}
	host.GiveLoopsProcessors(c.Loops)
	logger, log := newLog(std.err, options.LogFormat{}, slog.LevelInfo)
	defer log.flush()
	server, err := echo.New(echo.Config{
		Listen:     c.Listen.Addrs,
		Loops:      c.Loops,
		MaxMessage: int(c.MaxMessage),

		MessageTimeout: time.Duration(c.MessageTimeout),
		InputMemory:    int64(c.InputMemory),

		Compression: c.Compression.On,
		Logger:      logger,
	})
	if err != nil {
		return withCure(err, "another port with --listen")
	}
	announcement := newAnnouncement(std.out)
	defer announcement.flush()
	fmt.Fprintf(announcement, "fleetcast echo is running at ws://%s/\n", c.Listen.Shown(server.Addrs()))
	ended := make(chan struct{})
	go func() { server.Run(); close(ended) }()
	select {
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.Background(), echoDrain)
		defer cancel()
		if err := server.Shutdown(drain); err != nil {
			logger.Warn("stopped before every client had closed", "error", err)
		}
	case <-ended:
	}
	<-ended
	return nil
}
