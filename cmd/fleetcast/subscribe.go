package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/gobwas/ws"

	"fleetcast/codec/command"
	"fleetcast/codec/websocket"
)

// subscribeCommand prints the events of channels until it is stopped.
type subscribeCommand struct {
	Channels []string      `arg:"" name:"channel" help:"Channels to subscribe to."`
	URL      gatewayURL    `default:"ws://localhost:8080/ws" placeholder:"URL" help:"Where the gateway takes clients (${default})."`
	Data     bool          `short:"d" help:"Print only the data of each event."`
	Timeout  time.Duration `default:"10s" placeholder:"TIME" help:"Time to connect (${default})."`
}

const (
	// subscribeMaxMessage is the longest message taken from a gateway, in bytes.
	subscribeMaxMessage = 64 << 20
	// silenceFactor is how many ping intervals may pass without a byte before
	// the gateway is held to be gone.
	silenceFactor = 2
	minRetry      = 250 * time.Millisecond
	maxRetry      = 15 * time.Second
)

// Run prints events and reconnects for ever; it returns when ctx ends or a
// subscription is refused for good. Events are printed on the standard output,
// what happens to the connection on the standard error.
func (c *subscribeCommand) Run(ctx context.Context, std streams) error {
	for _, name := range c.Channels {
		if err := command.CheckChannel([]byte(name)); err != nil {
			return fmt.Errorf("channel %q: %w", name, err)
		}
	}
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = minRetry, maxRetry
	for {
		s := subscriber{command: c, std: std, reader: websocket.ReaderConfig{Client: true, MaxMessage: subscribeMaxMessage}}
		err := s.follow(ctx)
		var refused refusedError
		if ctx.Err() != nil {
			return nil
		}
		if errors.As(err, &refused) {
			return err
		}
		if s.welcomed {
			retry.Reset()
		}
		wait := max(retry.NextBackOff(), s.retryAfter)
		fmt.Fprintf(std.err, "fleetcast subscribe: %v; connecting again in %v\n", err, wait.Round(time.Millisecond))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// refusedError is an answer that would be the same the next time.
type refusedError struct{ code, message string }

func (e refusedError) Error() string { return e.code + ": " + e.message }

// subscriber is one connection of subscribe.
type subscriber struct {
	command    *subscribeCommand
	std        streams
	conn       net.Conn
	reader     websocket.ReaderConfig
	silence    time.Duration // without a byte, after which the gateway is gone; 0: not known yet
	welcomed   bool
	retryAfter time.Duration // the gateway's wish when it said goodbye
}

// follow connects, subscribes and prints until the connection ends.
func (s *subscriber) follow(ctx context.Context) error {
	early, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", s.command.URL, err)
	}
	defer s.conn.Close()
	defer context.AfterFunc(ctx, func() {
		mask := ws.NewMask()
		_, _ = s.conn.Write(websocket.AppendMaskedClose(nil, ws.StatusNormalClosure, "", mask))
		s.conn.Close()
	})()

	var requests []byte
	for i, name := range s.command.Channels {
		text := command.AppendSubscribe(nil, command.NewID(uint64(i)), name)
		requests = websocket.AppendMaskedFrame(requests, ws.OpText, text, ws.NewMask())
	}
	if _, err := s.conn.Write(requests); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return s.read(early)
}

// connect performs the handshake; early is what came right behind it.
func (s *subscriber) connect(ctx context.Context) (early []byte, err error) {
	var refused error
	dialer := ws.Dialer{
		Protocols:     []string{"fleetcast.v1"},
		Timeout:       s.command.Timeout,
		OnStatusError: func(status int, _ []byte, response io.Reader) { refused = refusal(status, response) },
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
				break
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
		_, _ = s.conn.Write(websocket.AppendMaskedClose(nil, violation.Code, "", ws.NewMask()))
	}
}

func (s *subscriber) handle(m websocket.Message) error {
	switch m.Op {
	case ws.OpText:
		return s.print(m.Payload)
	case ws.OpPing:
		_, err := s.conn.Write(websocket.AppendMaskedFrame(nil, ws.OpPong, m.Payload, ws.NewMask()))
		return err
	case ws.OpClose:
		code, reason, _ := websocket.ParseClose(m.Payload) // Next has validated it
		_, _ = s.conn.Write(websocket.AppendMaskedClose(nil, code, "", ws.NewMask()))
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
		return s.printLine(payload)
	case command.KindWelcome:
		s.welcomed = true
		s.silence = silenceFactor * time.Duration(m.PingIntervalMS) * time.Millisecond
	case command.KindSubscribed:
		fmt.Fprintf(s.std.err, "fleetcast subscribe: subscribed to %s, behind offset %d\n", m.Channel, m.Offset)
	case command.KindGoodbye:
		s.retryAfter = time.Duration(m.RetryAfterMS) * time.Millisecond
	case command.KindError:
		switch command.Code(m.Code) {
		case command.RateLimited, command.NotAvailable, command.Internal:
			return fmt.Errorf("%s: %s", m.Code, m.Message)
		}
		return refusedError{string(m.Code), string(m.Message)}
	}
	return nil
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
	_, err := fmt.Fprintf(s.std.out, "%s\n", value)
	return err
}
