package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/bytedance/sonic"

	"fleetcast/gateway/publisher"
)

// publishCommand publishes one event, or the lines of the standard input.
type publishCommand struct {
	Channel string        `arg:"" help:"Channel to publish to."`
	Data    string        `arg:"" name:"json" help:"Data of the event, any JSON; or - to publish each line of the standard input."`
	To      string        `default:"localhost:8082" placeholder:"HOST:PORT" help:"The gateway's publish port (${default})."`
	Text    bool          `help:"Take the data as plain text and publish it as a JSON string."`
	Quiet   bool          `short:"q" help:"Print nothing on success."`
	Timeout time.Duration `default:"10s" placeholder:"TIME" help:"Time to connect and, for one event, to get the answer (${default})."`
}

// maxInputLine is the longest line that publish - takes, in bytes; the gateway
// has a limit of its own.
const maxInputLine = 16 << 20

// Run publishes.
func (c *publishCommand) Run(ctx context.Context, std streams) error {
	logger := slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	config := publisher.Config{
		Logger:      logger,
		DialTimeout: c.Timeout,
		// Close waits for what was sent: all of the input must arrive.
		CloseTimeout: c.Timeout,
	}
	p, err := config.Dial(ctx, c.To)
	if err != nil {
		return fmt.Errorf("%w\nIs a gateway running there? Start one with: fleetcast serve", err)
	}
	if c.Data == "-" {
		return errors.Join(c.publishLines(ctx, p, std), p.Close())
	}
	defer p.Close()
	return c.publishOne(ctx, p, std.out)
}

func (c *publishCommand) publishOne(ctx context.Context, p *publisher.Publisher, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	data, err := c.data([]byte(c.Data))
	if err != nil {
		return err
	}
	result, err := p.Publish(ctx, c.Channel, data)
	if err != nil {
		return err
	}
	if !c.Quiet {
		fmt.Fprintf(out, "offset %d of %s (epoch %s), to %d subscribers\n", result.Offset, result.Channel, result.Epoch, result.Subscribers)
	}
	return nil
}

// publishLines publishes line by line without waiting for each answer. Events
// that are refused are reported as they become known and do not stop the rest.
func (c *publishCommand) publishLines(ctx context.Context, p *publisher.Publisher, std streams) error {
	// A read of a terminal cannot be interrupted otherwise.
	stop := context.AfterFunc(ctx, func() {
		if f, ok := std.in.(*os.File); ok {
			f.Close()
		}
	})
	defer stop()
	lines := bufio.NewScanner(std.in)
	lines.Buffer(make([]byte, 64<<10), maxInputLine)
	sent, refused := 0, 0
	for number := 1; lines.Scan(); number++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		data, err := c.data(lines.Bytes())
		if err == nil {
			err = p.Send(ctx, c.Channel, data)
		}
		var refusal *publisher.Error
		switch {
		case errors.As(err, &refusal):
			refused++
			fmt.Fprintf(std.err, "fleetcast publish: line %d: %v\n", number, err)
			continue
		case err != nil:
			return fmt.Errorf("line %d: %w", number, err)
		}
		sent++
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("read the standard input: %w", err)
	}
	if err := p.Flush(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("of %d events: %w", sent, err)
	}
	if !c.Quiet {
		fmt.Fprintf(std.err, "published %d events to %s\n", sent, c.Channel)
	}
	if refused > 0 {
		return errSilentFailure
	}
	return nil
}

// data turns what the user gave into an event's data.
func (c *publishCommand) data(given []byte) ([]byte, error) {
	if !c.Text {
		return given, nil
	}
	quoted, err := sonic.ConfigStd.Marshal(string(given))
	if err != nil {
		return nil, fmt.Errorf("quote the text: %w", err)
	}
	return quoted, nil
}
