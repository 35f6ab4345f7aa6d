package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/gobwas/ws"

	"fleetcast/cmd/internal/credential"
	"fleetcast/cmd/internal/stdio"
	"fleetcast/codec/command"
	"fleetcast/codec/websocket"
)

// subscribeCommand prints the events of channels until it is stopped.
type subscribeCommand struct {
	Channels []string      `arg:"" name:"channel" help:"Channels to subscribe to."`
	URL      gatewayURL    `default:"ws://localhost:8080/ws" placeholder:"URL" help:"Where the gateway takes clients (${default})."`
	Data     bool          `short:"d" help:"Print only the data of each event."`
	Timeout  time.Duration `default:"10s" placeholder:"TIME" help:"Time to connect (${default})."`
	credential.TokenFlags
}

const (
	// subscribeMaxMessage is the longest message taken from a gateway, in bytes.
	subscribeMaxMessage = 64 << 20
	// silenceFactor is how many ping intervals may pass without a byte before
	// the gateway is held to be gone.
	silenceFactor = 2
	minRetry      = 250 * time.Millisecond
	maxRetry      = 15 * time.Second
	// Close codes of a gateway that does not want this client, or not with this token.
	closeUnauthenticated = 4401
	closeForbidden       = 4403
	// closePatience is how long the gateway may take to answer our close frame.
	closePatience = time.Second
)

// Validate is called by the parser.
func (c *subscribeCommand) Validate() error {
	var bad outOfRange
	bad.timeout("--timeout", c.Timeout)
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
	if out, ok := std.out.(*stdio.Output); ok {
		out.WhenUnread(func() { stop(out.Err()) })
	}
	for _, warning := range c.Warnings(string(c.URL)) {
		fmt.Fprintf(std.err, "fleetcast subscribe: %s\n", warning)
	}
	shown, reached := &tokens{flags: &c.TokenFlags, std: std}, false
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = minRetry, maxRetry
	for {
		s := subscriber{command: c, std: std, tokens: shown, due: make(chan refresh, 1), reader: websocket.ReaderConfig{Client: true, MaxMessage: subscribeMaxMessage}}
		began := time.Now()
		err := s.follow(ctx)
		if reached = reached || s.conn != nil; !reached && ctx.Err() == nil {
			err = c.explain(ctx, err)
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
	command  *subscribeCommand
	std      streams
	tokens   *tokens
	due      chan refresh // of the token, for renew
	conn     net.Conn
	reader   websocket.ReaderConfig
	silence  time.Duration // without a byte, after which the gateway is gone; 0: not known yet
	welcomed bool
	asking   *asking
	retryAt  time.Time // when the gateway wants us back: by its goodbye, or its refusal

	sending sync.Mutex
	closing bool // our close frame was sent, the last of our frames
}

// follow connects, subscribes and prints until the connection ends.
func (s *subscriber) follow(ctx context.Context) error {
	early, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", s.command.URL, err)
	}
	defer s.conn.Close()
	defer context.AfterFunc(ctx, s.stop)()
	if s.tokens.flags.Renews() {
		life, end := context.WithCancel(ctx)
		defer end()
		go s.renew(life)
	}

	s.asking = newAsking(s.command.Channels)
	if err := s.ask(); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return s.read(early)
}

// ask sends the next channels to ask for, if there are any, after the pause that the
// gateway has asked for.
func (s *subscriber) ask() error {
	pause := s.asking.pause
	text := s.asking.next()
	if text == nil {
		return nil
	}
	frame := websocket.AppendMaskedFrame(nil, ws.OpText, text, ws.NewMask())
	if pause == 0 {
		return s.send(frame)
	}
	time.AfterFunc(pause, func() { _ = s.send(frame) }) // if the connection is gone, the reader reports that
	return nil
}

// send sends frames, unless ours was the last word. Any goroutine may call it.
func (s *subscriber) send(frames []byte) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.closing {
		return nil
	}
	_, err := s.conn.Write(frames)
	return err
}

// close sends the one close frame, as the start or the answer of the closing
// handshake (RFC 6455, 5.5.1). Any goroutine may call it.
func (s *subscriber) close(code ws.StatusCode) {
	s.sending.Lock()
	defer s.sending.Unlock()
	if !s.closing {
		s.closing = true
		_, _ = s.conn.Write(websocket.AppendMaskedClose(nil, code, "", ws.NewMask()))
	}
}

// stop ends the conversation in good order: what the gateway has sent before it
// answers our close frame is still printed. One that does not answer, or does not
// take the frame, is left after closePatience.
func (s *subscriber) stop() {
	time.AfterFunc(closePatience, func() { s.conn.Close() })
	s.close(ws.StatusNormalClosure)
}

// connect performs the handshake; early is what came right behind it.
func (s *subscriber) connect(ctx context.Context) (early []byte, err error) {
	shown, err := s.tokens.current(ctx)
	if err != nil {
		return nil, err
	}
	var refused error
	dialer := ws.Dialer{
		Protocols: []string{"fleetcast.v1"},
		Timeout:   s.command.Timeout,
		OnStatusError: func(status int, _ []byte, response io.Reader) {
			var pause time.Duration
			pause, refused = refusal(status, response)
			s.retryAt = time.Now().Add(pause)
		},
	}
	if shown != "" {
		dialer.Header = ws.HandshakeHeaderHTTP{"Authorization": {"Bearer " + shown}}
	}
	conn, buffered, _, err := dialer.Dial(ctx, string(s.command.URL))
	if refused != nil {
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	s.conn = conn
	if buffered != nil {
		early = make([]byte, buffered.Buffered())
		if _, err := io.ReadFull(buffered, early); err != nil {
			conn.Close()
			return nil, err
		}
		ws.PutReader(buffered)
	}
	return early, nil
}

// read handles frames until the connection ends.
func (s *subscriber) read(early []byte) error {
	var reader websocket.Reader
	defer reader.Release()
	buffer := make([]byte, 64<<10)
	input := buffer[:copy(buffer, early)]
	for {
		for len(input) > 0 {
			message, n, ok, err := reader.Next(input, &s.reader)
			input = input[n:]
			if err != nil {
				s.violated(err)
				return fmt.Errorf("the gateway broke the protocol: %w", err)
			}
			if !ok {
				continue // a fragment
			}
			if err := s.handle(message); err != nil {
				return err
			}
			reader.Recycle()
		}
		if s.silence > 0 {
			_ = s.conn.SetReadDeadline(time.Now().Add(s.silence))
		}
		n, err := s.conn.Read(buffer)
		if err != nil {
			return fmt.Errorf("connection lost: %w", err)
		}
		input = buffer[:n]
	}
}

// violated tells the gateway what it did wrong (RFC 6455, 7.1.7).
func (s *subscriber) violated(err error) {
	var violation *websocket.CloseError
	if errors.As(err, &violation) {
		s.close(violation.Code)
	}
}

func (s *subscriber) handle(m websocket.Message) error {
	switch m.Op {
	case ws.OpText:
		return s.print(m.Payload)
	case ws.OpPing:
		return s.send(websocket.AppendMaskedFrame(nil, ws.OpPong, m.Payload, ws.NewMask()))
	case ws.OpClose:
		code, reason, _ := websocket.ParseClose(m.Payload) // Next has validated it
		s.close(code)
		if code == closeUnauthenticated || code == closeForbidden {
			return refusedError{fmt.Sprint(code), stdio.Printable(string(reason))}
		}
		return fmt.Errorf("the gateway closed the connection: %d %q", code, reason)
	}
	return nil
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
			return s.printLine(m.Data)
		}
		return s.printLine(payload)
	case command.KindGap:
		if !s.command.Data {
			return s.printLine(payload)
		}
		fmt.Fprintf(s.std.err, "fleetcast subscribe: events %d to %d of %s were missed\n", m.From, m.To, m.Channel)
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
		fmt.Fprintf(s.std.err, "fleetcast subscribe: subscribed to %s, behind offset %d\n", m.Channel, m.Offset)
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

// printLine prints a JSON value as one line. Line ends in it can only be white
// space between its tokens: in strings they are escaped (RFC 8259, 7). Spaces
// take their place, in value itself.
func (s *subscriber) printLine(value []byte) error {
	for i, c := range value {
		if c == '\n' || c == '\r' {
			value[i] = ' '
		}
	}
	if _, err := fmt.Fprintf(s.std.out, "%s\n", value); err != nil {
		return outputError{err}
	}
	return nil
}
