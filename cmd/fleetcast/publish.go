package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize/english"

	"fleetcast/cmd/internal/credential"
	"fleetcast/cmd/internal/keyfile"
	"fleetcast/codec/jsonscan"
	"fleetcast/gateway/keys"
	"fleetcast/gateway/publisher"
)

// publishCommand publishes one event, or the lines of the standard input.
type publishCommand struct {
	Channel string `arg:"" help:"Channel to publish to."`
	Data    string `arg:"" name:"json" help:"Data of the event, any JSON; or - to publish each line of the standard input."`
	To      string `default:"localhost:8082" placeholder:"HOST:PORT" help:"The gateway's publish port (${default})."`
	Text    bool   `help:"Take the data as plain text and publish it as a JSON string."`
	eventFlags
	Quiet bool `short:"q" help:"Print nothing on success."`
	keyfile.Flag
	Timeout time.Duration `default:"10s" placeholder:"TIME" help:"Time to connect, for the gateway to take an event, and to get the answer to the last (${default})."`
}

const (
	// maxInputLine is the longest line that publish - takes, in bytes; the
	// gateway has a limit of its own.
	maxInputLine = 1 << 20
	// publishBuffer has room for the request of such a line, even if --text escapes
	// every byte of it (\u001b).
	publishBuffer = 6*maxInputLine + 4<<10
	// minRateWait is the pause if the gateway does not say how long to wait.
	minRateWait = time.Millisecond
	// publishCloseTimeout is short: all that matters has been answered before.
	publishCloseTimeout = time.Second
)

// Validate is called by the parser.
func (c *publishCommand) Validate() error {
	var bad outOfRange
	bad.timeout("--timeout", c.Timeout)
	if c.Channel == "" {
		bad.add("the channel is empty")
	}
	switch {
	case c.Key == nil:
	case *c.Key == "":
		bad.add("--key is empty; leave it out to publish without a key")
	case keys.HasForm([]byte(*c.Key)):
		bad.add("--key is what the event is about, which its subscribers see; the key that lets you publish goes into a file for --key-file. " +
			"Others may have seen this one (ps, the shell's history): replace it")
	}
	c.eventFlags.check(&bad, c.Data == "-")
	if c.To == "" {
		bad.add("--to is empty; write for example localhost:8082")
	}
	return errors.Join(bad...)
}

// Run publishes.
func (c *publishCommand) Run(ctx context.Context, std streams) error {
	logger := slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	key, err := c.Source()
	if err != nil {
		return err
	}
	if path := c.Path(); keyfile.Exposed(path) {
		logger.Warn("every user of this machine can read the file with the key", "file", path, "advice", "chmod o= "+path)
	}
	if warning := credential.ClearTextWarning("the key", c.To); warning != "" && key != nil {
		logger.Warn(warning)
	}
	config := publisher.Config{
		Key:          key,
		DialTimeout:  c.Timeout,
		CloseTimeout: publishCloseTimeout,
		WriteBuffer:  publishBuffer,
		Repeat:       c.Idempotency != nil,
	}
	if c.Data == "-" {
		config.Logger = logger // of one event, its error says all
	}
	p, err := config.Dial(ctx, c.To)
	switch wrong := c.wrongPort(ctx, err); {
	case wrong != nil:
		return wrong
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w; %s", err, nobodyThere)
	case err != nil:
		return err
	}
	if c.Data == "-" {
		return errors.Join(c.publishLines(ctx, p, std), p.Close())
	}
	defer p.Close()
	return c.publishOne(ctx, p, std.out)
}

func (c *publishCommand) publishOne(ctx context.Context, p *publisher.Publisher, out io.Writer) error {
	limited, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	data, err := c.data(jsonscan.TrimMark([]byte(c.Data)))
	if err != nil {
		return err
	}
	result, err := c.publishInTurn(limited, limited, p, data)
	if wrong := c.wrongPort(ctx, err); wrong != nil {
		return wrong
	}
	if err != nil {
		return c.withHint(c.outcome(err, "the event"), data)
	}
	if !c.Quiet {
		before := ""
		if result.Duplicate {
			before = ", published before"
		}
		fmt.Fprintf(out, "offset %d of %s (epoch %s), to %d %s%s\n", result.Offset, result.Channel, result.Epoch,
			result.Subscribers, english.PluralWord(int(result.Subscribers), "subscriber", ""), before)
	}
	return nil
}

// publishInTurn publishes an event, and waits and tries again when that is refused
// because of the gateway's --publisher-rate, until ctx ends. try bounds all tries in
// time, and ends the one under way.
func (c *publishCommand) publishInTurn(ctx, try context.Context, p *publisher.Publisher, data []byte) (publisher.Result, error) {
	for {
		result, err := p.Publish(try, c.Channel, data, c.options()...)
		var refusal *publisher.Error
		if !errors.As(err, &refusal) || refusal.Code != publisher.CodeRateLimited {
			return result, err
		}
		if deadline, ok := try.Deadline(); ok && time.Until(deadline) < refusal.RetryAfter {
			return result, fmt.Errorf("%w, which is longer than --timeout (%v)", err, c.Timeout)
		}
		select {
		case <-time.After(max(refusal.RetryAfter, minRateWait)):
		case <-ctx.Done():
			return result, err
		}
	}
}

// unknownOutcomeError says that an event was sent, and that its outcome is unknown.
type unknownOutcomeError struct{ error }

// Unwrap returns the error itself.
func (e unknownOutcomeError) Unwrap() error { return e.error }

// outcome adds to a failure, if it is so, that the events may have been published all
// the same. what names the events.
func (c *publishCommand) outcome(err error, what string) error {
	var refused *publisher.Error
	var failed *publisher.FlushError
	switch {
	case errors.As(err, &failed) && failed.Lost == 0, // all were answered
		!errors.As(err, &failed) && errors.As(err, &refused),
		errors.Is(err, publisher.ErrNotSent):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("the gateway at %s did not answer within %v: %w", c.To, c.Timeout, err)
	}
	return unknownOutcomeError{fmt.Errorf("%w\nNobody knows what became of %s: it may have been published or not. %s", err, what, c.again())}
}

// publishLines publishes line by line without waiting for each answer, until
// the input or ctx ends. Events that are refused are reported as they become
// known and do not stop the rest; but those that come too fast for the gateway's
// --publisher-rate are sent when it allows them, and end the rest if that takes
// longer than the timeout.
func (c *publishCommand) publishLines(ctx context.Context, p *publisher.Publisher, std streams) error {
	sent, refused, err := c.sendLines(ctx, p, std)
	var unknown unknownOutcomeError
	if sent == 0 && errors.As(err, &unknown) {
		err = cmp.Or(c.wrongPort(ctx, err), err)
	}
	// What was sent is waited for although ctx may have ended.
	flushCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Timeout)
	defer cancel()
	if flushErr := p.Flush(flushCtx); flushErr != nil {
		return errors.Join(err, fmt.Errorf("of %d %s: %w", sent, english.PluralWord(sent, "event", ""), c.outcome(flushErr, "some of them")))
	}
	if !c.Quiet {
		fmt.Fprintf(std.err, "published %d %s to %s\n", sent, english.PluralWord(sent, "event", ""), c.Channel)
	}
	if err == nil && refused > 0 {
		return errSilentFailure
	}
	return err
}

// sendLines sends the lines of the standard input and returns how many, and how
// many were refused before they were sent. That ctx ends is no error.
func (c *publishCommand) sendLines(ctx context.Context, p *publisher.Publisher, std streams) (sent, refused int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := readLines(ctx, std.in)
	allowed := 0 // by the gateway's rate, before an answer has to be waited for
	for number := 1; ; number++ {
		var line inputLine
		var more bool
		select {
		case <-ctx.Done():
			return sent, refused, nil
		case line, more = <-lines:
		}
		if !more {
			return sent, refused, nil
		}
		if line.err == nil && len(line.text) == 0 {
			continue
		}
		err := line.err
		var data []byte
		if err == nil {
			data, err = c.data(line.text)
		}
		if err == nil {
			err = c.send(ctx, p, data, &allowed)
		}
		var refusal *publisher.Error
		var unknown unknownOutcomeError
		switch {
		case err == nil:
			sent++
		case errors.As(err, &unknown):
			return sent, refused, fmt.Errorf("line %d: %w", number, err)
		case ctx.Err() != nil:
			return sent, refused, nil
		case errors.As(err, &refusal) && refusal.Code != publisher.CodeRateLimited:
			refused++
			fmt.Fprintf(std.err, "fleetcast publish: line %d: %v\n", number, c.withHint(err, data))
		default:
			return sent, refused, fmt.Errorf("line %d: %w", number, err)
		}
	}
}

// send hands over an event. It waits while the gateway does not take the events before
// it, but not for ever. It sends as many events as are allowed without waiting for an
// answer. The answer to the next event says how many more are allowed.
func (c *publishCommand) send(ctx context.Context, p *publisher.Publisher, data []byte, allowed *int) error {
	if *allowed == 0 {
		return c.sendInTurn(ctx, p, data, allowed)
	}
	*allowed--
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	err := p.Send(ctx, c.Channel, data, c.options()...)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the gateway at %s has taken nothing for %v: %w", c.To, c.Timeout, err)
	}
	return err
}

// sendInTurn publishes an event when the gateway's rate allows it, and learns how many
// more it allows. The answer is waited for although ctx may have ended.
func (c *publishCommand) sendInTurn(ctx context.Context, p *publisher.Publisher, data []byte, allowed *int) error {
	try, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Timeout)
	defer cancel()
	_, err := c.publishInTurn(ctx, try, p, data)
	if err != nil {
		return c.outcome(err, "this event")
	}
	left, limited := p.RateLeft()
	if !limited {
		left = math.MaxInt
	}
	*allowed = left
	return nil
}

// inputLine is a line of the standard input, or what ended it too early.
type inputLine struct {
	text []byte
	err  error
}

// readLines reads in, in a goroutine of its own, because a read of a terminal or a pipe
// cannot be interrupted. After ctx has ended, the goroutine may stay in its read until
// the process ends. The channel is closed after the last line.
func readLines(ctx context.Context, in io.Reader) <-chan inputLine {
	lines := make(chan inputLine, 16)
	hand := func(line inputLine) bool {
		select {
		case lines <- line:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		scanner.Buffer(make([]byte, 64<<10), len("\ufeff")+maxInputLine+len("\r\n"))
		for first := true; scanner.Scan(); first = false {
			text := scanner.Bytes()
			if first {
				text = jsonscan.TrimMark(text)
			}
			switch {
			case first && jsonscan.HasUTF16Mark(text):
				hand(inputLine{err: errUTF16})
				return
			case len(text) > maxInputLine:
				hand(inputLine{err: errLineTooLong})
				return
			case !hand(inputLine{text: bytes.Clone(text)}):
				return
			}
		}
		switch err := scanner.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			hand(inputLine{err: errLineTooLong})
		case err != nil:
			hand(inputLine{err: fmt.Errorf("read the standard input: %w", err)})
		}
	}()
	return lines
}

var errUTF16 = errors.New("the input is UTF-16, by its byte order mark; it must be UTF-8; nothing was published")

var errLineTooLong = fmt.Errorf("longer than %d bytes; it and what follows was not published", maxInputLine)

// withHint adds the cure to the refusal of data that is not JSON, or for want of a key.
func (c *publishCommand) withHint(err error, data []byte) error {
	var refused *publisher.Error
	if errors.As(err, &refused) && refused.Code == publisher.CodeAuthenticationRequired {
		return fmt.Errorf("%w\nGive one with --key-file, %s or %s", err, keyfile.Variable, keyfile.FileVariable)
	}
	if c.Text || jsonscan.Valid(data) {
		return err
	}
	return fmt.Errorf("%w (to publish plain text, use --text)", err)
}

// data turns what the user gave into an event's data.
func (c *publishCommand) data(given []byte) ([]byte, error) {
	if !c.Text {
		return given, nil
	}
	if !utf8.Valid(given) {
		return nil, &publisher.Error{Code: publisher.CodeBadRequest, Message: "the text is not valid UTF-8"}
	}
	return jsonscan.AppendString(nil, given), nil
}
