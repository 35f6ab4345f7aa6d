package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"fleetcast/cmd/internal/stdio"
	"fleetcast/codec/command"
)

// subscribeCommand prints the events of channels until it is stopped.
type subscribeCommand struct {
	Channels []string `arg:"" name:"channel" help:"Channels to subscribe to."`
	clientFlags
	Last    int           `placeholder:"N" help:"Begin with the last N events of each channel that the gateway keeps."`
	Since   position      `placeholder:"EPOCH:OFFSET" help:"Begin behind this position. Goes with one channel only."`
	Timeout time.Duration `default:"10s" placeholder:"TIME" help:"Time to connect (${default})."`
}

const (
	// silenceFactor is how many ping intervals may pass without a byte before
	// the gateway is held to be gone.
	silenceFactor = 2
	minRetry      = 250 * time.Millisecond
	maxRetry      = 15 * time.Second
)

// Help is shown below the command's help.
func (*subscribeCommand) Help() string {
	return "When the connection is lost, it connects again and goes on behind the last event, without a gap if the gateway still keeps what came meanwhile. " +
		"When it is stopped, it says where to go on with --since, if it has one channel only."
}

// Validate is called by the parser.
func (c *subscribeCommand) Validate() error {
	var bad outOfRange
	bad.timeout("--timeout", c.Timeout)
	if c.Last < 0 || c.Last > command.MaxLast {
		bad.add("--last is %d, must be from 0 to %d", c.Last, command.MaxLast)
	}
	switch since := c.Since.Epoch != nil; {
	case since && c.Last > 0:
		bad.add("--since and --last exclude each other")
	case since && len(c.Channels) > 1:
		bad.add("--since goes with one channel: each has its own positions")
	}
	if err := c.Check(); err != nil {
		bad.add("%w", err)
	}
	return errors.Join(bad...)
}

// Run prints events and reconnects for ever; it returns when ctx ends or a
// subscription is refused for good. Events are printed on the standard output,
// what happens to the connection on the standard error.
func (c *subscribeCommand) Run(ctx context.Context, std streams) error {
	for _, name := range c.Channels {
		if err := command.CheckChannel([]byte(name)); err != nil {
			return fmt.Errorf("channel %q: %w", name, err)
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	out, _ := std.out.(*stdio.Output)
	if out != nil {
		out.WhenUnread(func() { stop(out.Err()) })
	}
	for _, warning := range c.Warnings(string(c.URL)) {
		fmt.Fprintf(std.err, "fleetcast subscribe: %s\n", warning)
	}
	reached := newPlaces(c)
	err := c.follow(ctx, std, reached)
	if told := reached.tell(c.Channels); told != "" && (out == nil || out.Err() == nil) {
		fmt.Fprintf(std.err, "fleetcast subscribe: %s\n", told)
	}
	return err
}

// follow is Run, for one connection after the other.
func (c *subscribeCommand) follow(ctx context.Context, std streams, at places) error {
	shown, reached := &tokens{flags: &c.TokenFlags, std: std}, false
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = minRetry, maxRetry
	for {
		s := subscriber{command: c, std: std, tokens: shown, at: at, due: make(chan refresh, 1)}
		began := time.Now()
		err := s.follow(ctx)
		if reached = reached || s.clientConn != nil; !reached && ctx.Err() == nil {
			err = c.explain(ctx, c.Timeout, err)
		}
		var lost outputError
		var refused refusedError
		switch {
		case errors.As(err, &lost):
			return lost.error
		case ctx.Err() != nil:
			return ended(ctx)
		case hopeless(err) != nil:
			return hopeless(err)
		case errors.As(err, &refused):
			if err := shown.after(refused, err, time.Since(began)); err != nil {
				return err
			}
		case s.welcomed:
			retry.Reset()
		}
		wait, asked := retry.NextBackOff(), ""
		if pause := time.Until(s.retryAt); pause > wait {
			wait, asked = pause, ", as the gateway asks"
		}
		fmt.Fprintf(std.err, "fleetcast subscribe: %v; connecting again in %v%s\n", err, wait.Round(time.Millisecond), asked)
		select {
		case <-ctx.Done():
			return ended(ctx)
		case <-time.After(wait):
		}
	}
}

// hopeless is the error that ends subscribe, because there is no token or no gateway. It is nil
// for others.
func hopeless(err error) error {
	var none tokenError
	var wrong wrongPortError
	switch {
	case errors.As(err, &none):
		return none.error
	case errors.As(err, &wrong):
		return wrong.error
	}
	return nil
}

// ended is why ctx has ended, if that was not asked for.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// outputError ends subscribe, because its output cannot be written.
type outputError struct{ error }

// refusedError is an answer that would be the same the next time.
type refusedError struct{ code, message string }

func (e refusedError) Error() string { return e.code + ": " + e.message }

// is tells whether it came with a status of HTTP.
func (e refusedError) is(status int) bool { return strings.HasPrefix(e.code, strconv.Itoa(status)+" ") }

// subscriber is one connection of subscribe.
type subscriber struct {
	*clientConn
	command  *subscribeCommand
	std      streams
	tokens   *tokens
	at       places
	due      chan refresh // of the token, for renew
	welcomed bool
	asking   *asking
	retryAt  time.Time // when the gateway wants us back: by its goodbye, or its refusal
}

// follow connects, subscribes and prints until the connection ends.
func (s *subscriber) follow(ctx context.Context) error {
	if err := s.connect(ctx); err != nil {
		return fmt.Errorf("connect to %s: %w", s.command.URL, err)
	}
	defer s.conn.Close()
	defer context.AfterFunc(ctx, s.stop)()
	if s.tokens.flags.Renews() {
		life, end := context.WithCancel(ctx)
		defer end()
		go s.renew(life)
	}

	s.asking = newAsking(s.command.Channels, s.at)
	if err := s.ask(); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return s.read(s.print)
}

func (s *subscriber) connect(ctx context.Context) error {
	shown, err := s.tokens.current(ctx)
	if err != nil {
		return err
	}
	s.clientConn, err = dialGateway(ctx, s.command.URL, s.command.Timeout, shown)
	var refused refusedHandshake
	if errors.As(err, &refused) {
		s.retryAt = time.Now().Add(refused.pause)
	}
	return err
}

// ask sends the next channels to ask for, if there are any, after the pause that the
// gateway has asked for.
func (s *subscriber) ask() error {
	pause := s.asking.pause
	text := s.asking.next()
	if text == nil {
		return nil
	}
	return s.sayAfter(pause, text)
}

// print handles one message of the client protocol.
func (s *subscriber) print(payload []byte) error {
	var m command.ServerMessage
	if err := m.Parse(payload); err != nil {
		return fmt.Errorf("message not understood: %w", err)
	}
	switch m.Kind {
	case command.KindEvent:
		if s.command.Data {
			payload = m.Data
		}
		if err := printLine(s.std.out, payload); err != nil {
			return err
		}
		s.at.reach(m.Channel, m.Offset)
	case command.KindGap:
		if s.command.Data {
			fmt.Fprintf(s.std.err, "fleetcast subscribe: events %d to %d of %s were missed\n", m.From, m.To, m.Channel)
		} else if err := printLine(s.std.out, payload); err != nil {
			return err
		}
		s.at.reach(m.Channel, m.To)
	case command.KindWelcome:
		s.welcomed = true
		s.silence = silenceFactor * time.Duration(m.PingIntervalMS) * time.Millisecond
		limits, err := command.ParseLimits(m.Limits)
		if err != nil {
			return fmt.Errorf("message not understood: %w", err)
		}
		s.asking.limit(limits)
		s.stands(&m)
	case command.KindAuthenticated:
		s.stands(&m)
	case command.KindUnsubscribed:
		return s.withdrawn(&m)
	case command.KindSubscribed:
		fmt.Fprintf(s.std.err, "fleetcast subscribe: subscribed to %s, behind offset %d%s\n", m.Channel, m.Offset, s.at.begin(&m))
		return s.answered(&m)
	case command.KindGoodbye:
		s.retryAt = time.Now().Add(pauseOf(m.RetryAfterMS))
	case command.KindError:
		return s.refused(&m)
	}
	return nil
}

// refused handles the refusal of a subscription. If the gateway says when to try again,
// the retry is on this connection, and the other subscriptions are kept.
func (s *subscriber) refused(m *command.ServerMessage) error {
	if m.ID.Set && m.ID.Value == authenticationID {
		s.notRenewed(m)
		return nil
	}
	switch command.Code(m.Code) {
	case command.RateLimited, command.NotAvailable, command.Internal:
	default:
		return refusedError{string(m.Code), string(m.Message)}
	}
	if m.RetryAfterMS == 0 || !m.ID.Set {
		return fmt.Errorf("%s: %s", m.Code, m.Message)
	}
	return s.answered(m)
}

// answered takes the answer for one channel. After the last answer for a message, the
// next message is sent.
func (s *subscriber) answered(m *command.ServerMessage) error {
	if !s.asking.answer(m) {
		return nil
	}
	if told := s.asking.tell(); told != "" {
		fmt.Fprintf(s.std.err, "fleetcast subscribe: %s\n", told)
	}
	return s.ask()
}
