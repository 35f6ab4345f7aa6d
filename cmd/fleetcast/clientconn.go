package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/cmd/internal/credential"
	"fleetcast/cmd/internal/stdio"
	"fleetcast/codec/websocket"
)

// clientFlags are those of commands that are clients of a gateway and print events.
type clientFlags struct {
	URL  gatewayURL `default:"ws://localhost:8080/ws" placeholder:"URL" help:"Where the gateway takes clients (${default})."`
	Data bool       `short:"d" help:"Print only the data of each event."`
	credential.TokenFlags
}

const (
	// clientMaxMessage is the longest message taken from a gateway, in bytes.
	clientMaxMessage = 64 << 20
	// closePatience is how long the gateway may take to answer our close frame.
	closePatience = time.Second
	// Close codes of a gateway that does not want this client, or not with this token.
	closeUnauthenticated = 4401
	closeForbidden       = 4403
)

// clientConn is a client's connection to a gateway.
type clientConn struct {
	conn    net.Conn
	early   []byte // what came right behind the handshake
	reader  websocket.ReaderConfig
	silence time.Duration // without a byte, after which the gateway is gone; 0: for ever

	sending sync.Mutex
	closing bool // our close frame was sent, the last of our frames
}

// refusedHandshake is a refusal with the pause that the gateway asks for.
type refusedHandshake struct {
	error
	pause time.Duration
}

// Unwrap returns the refusal.
func (e refusedHandshake) Unwrap() error { return e.error }

// dialGateway performs the handshake. It shows the token, unless that is empty.
func dialGateway(ctx context.Context, url gatewayURL, timeout time.Duration, token string) (*clientConn, error) {
	var refused error
	dialer := ws.Dialer{
		Protocols: []string{"fleetcast.v1"},
		Timeout:   timeout,
		OnStatusError: func(status int, _ []byte, response io.Reader) {
			pause, err := refusal(status, response)
			refused = refusedHandshake{err, pause}
		},
	}
	if token != "" {
		dialer.Header = ws.HandshakeHeaderHTTP{"Authorization": {"Bearer " + token}}
	}
	conn, buffered, _, err := dialer.Dial(ctx, string(url))
	if refused != nil {
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	c := &clientConn{conn: conn, reader: websocket.ReaderConfig{Client: true, MaxMessage: clientMaxMessage}}
	if buffered != nil {
		c.early = make([]byte, buffered.Buffered())
		if _, err := io.ReadFull(buffered, c.early); err != nil {
			conn.Close()
			return nil, err
		}
		ws.PutReader(buffered)
	}
	return c, nil
}

// say sends a message. Any goroutine may call it.
func (c *clientConn) say(text []byte) error {
	return c.send(websocket.AppendMaskedFrame(nil, ws.OpText, text, ws.NewMask()))
}

// sayAfter sends a message after a pause. If the connection is gone then, the reader reports that.
func (c *clientConn) sayAfter(pause time.Duration, text []byte) error {
	if pause == 0 {
		return c.say(text)
	}
	time.AfterFunc(pause, func() { _ = c.say(text) })
	return nil
}

// send sends frames, unless ours was the last word. Any goroutine may call it.
func (c *clientConn) send(frames []byte) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.closing {
		return nil
	}
	_, err := c.conn.Write(frames)
	return err
}

// close sends the one close frame, as the start or the answer of the closing
// handshake (RFC 6455, 5.5.1). Any goroutine may call it.
func (c *clientConn) close(code ws.StatusCode) {
	c.sending.Lock()
	defer c.sending.Unlock()
	if !c.closing {
		c.closing = true
		_, _ = c.conn.Write(websocket.AppendMaskedClose(nil, code, "", ws.NewMask()))
	}
}

// stop ends the conversation in good order: what the gateway has sent before it
// answers our close frame is still read. One that does not answer, or does not
// take the frame, is left after closePatience.
func (c *clientConn) stop() {
	time.AfterFunc(closePatience, func() { c.conn.Close() })
	c.close(ws.StatusNormalClosure)
}

// read calls take for each message of the gateway until the connection ends, or take returns
// an error.
func (c *clientConn) read(take func(message []byte) error) error {
	var reader websocket.Reader
	defer reader.Release()
	buffer := make([]byte, 64<<10)
	input := buffer[:copy(buffer, c.early)]
	for {
		for len(input) > 0 {
			message, n, ok, err := reader.Next(input, &c.reader)
			input = input[n:]
			if err != nil {
				c.violated(err)
				return fmt.Errorf("the gateway broke the protocol: %w", err)
			}
			if !ok {
				continue // a fragment
			}
			if err := c.handle(message, take); err != nil {
				return err
			}
			reader.Recycle()
		}
		if c.silence > 0 {
			_ = c.conn.SetReadDeadline(time.Now().Add(c.silence))
		}
		n, err := c.conn.Read(buffer)
		if err != nil {
			return fmt.Errorf("connection lost: %w", err)
		}
		input = buffer[:n]
	}
}

// violated tells the gateway what it did wrong (RFC 6455, 7.1.7).
func (c *clientConn) violated(err error) {
	var violation *websocket.CloseError
	if errors.As(err, &violation) {
		c.close(violation.Code)
	}
}

func (c *clientConn) handle(m websocket.Message, take func(message []byte) error) error {
	switch m.Op {
	case ws.OpText:
		return take(m.Payload)
	case ws.OpPing:
		return c.send(websocket.AppendMaskedFrame(nil, ws.OpPong, m.Payload, ws.NewMask()))
	case ws.OpClose:
		code, reason, _ := websocket.ParseClose(m.Payload) // Next has validated it
		c.close(code)
		if code == closeUnauthenticated || code == closeForbidden {
			return refusedError{fmt.Sprint(code), stdio.Printable(string(reason))}
		}
		return fmt.Errorf("the gateway closed the connection: %d %q", code, reason)
	}
	return nil
}

// printLine prints a JSON value as one line. Line ends in it can only be white
// space between its tokens: in strings they are escaped (RFC 8259, 7). Spaces
// take their place, in value itself.
func printLine(out io.Writer, value []byte) error {
	for i, c := range value {
		if c == '\n' || c == '\r' {
			value[i] = ' '
		}
	}
	if _, err := fmt.Fprintf(out, "%s\n", value); err != nil {
		return outputError{err}
	}
	return nil
}
