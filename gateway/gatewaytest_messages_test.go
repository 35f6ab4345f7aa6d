package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
)

// message is any message to a client.
type message struct {
	Type           string          `json:"type"`
	Client         string          `json:"client"`
	PingIntervalMS uint64          `json:"ping_interval_ms"`
	ID             *uint64         `json:"id"`
	Channel        string          `json:"channel"`
	Epoch          string          `json:"epoch"`
	Offset         uint64          `json:"offset"`
	From           uint64          `json:"from"`
	To             uint64          `json:"to"`
	Data           json.RawMessage `json:"data"`
	Code           string          `json:"code"`
	Message        string          `json:"message"`
	Reason         string          `json:"reason"`
	RetryAfterMS   uint64          `json:"retry_after_ms"`
}

// answer is a reply of the publish port to a line of NDJSON.
type answer struct {
	ID      *uint64  `json:"id"`
	Line    *uint64  `json:"line"`
	Results []result `json:"results"`
	Error   *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

type result struct {
	Channel     string `json:"channel"`
	Epoch       string `json:"epoch"`
	Offset      uint64 `json:"offset"`
	Subscribers uint64 `json:"subscribers"`
}

// decode reads JSON.
func decode[T any](tb testing.TB, text string) (v T) {
	tb.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		tb.Fatalf("received %.200q, which is not JSON: %v", text, err)
	}
	return v
}

// client is a WebSocket client that others wrote.
type client struct {
	testing.TB
	send        func(binary bool, text string) error
	receive     func() (text string, err error)
	shut        func() error // closes with 1000 and waits for the echo
	drop        func() error // closes the socket
	subprotocol string
}

// loopback6 is any port of the loopback of IPv6.
var loopback6 = netip.MustParseAddrPort("[::1]:0")

// libraries are the client libraries that the protocol is tested with.
var libraries = map[string]func(*server, []string, http.Header) *client{
	"coder": dialCoder, "gorilla": dialGorilla,
}

// eachLibrary runs a test with each of them.
func eachLibrary(t *testing.T, test func(t *testing.T, open func(*server, ...string) *client)) {
	for name, open := range libraries {
		t.Run(name, func(t *testing.T) {
			test(t, func(s *server, subprotocols ...string) *client { return open(s, subprotocols, nil) })
		})
	}
}

// dialCoder connects with coder/websocket.
func dialCoder(s *server, subprotocols []string, header http.Header) *client {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.Cleanup(cancel)
	conn, _, err := coder.Dial(ctx, s.url(), &coder.DialOptions{Subprotocols: subprotocols, HTTPHeader: header})
	if err != nil {
		s.Fatalf("connecting with coder/websocket: %v", err)
	}
	s.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(1 << 20)
	return &client{
		TB: s.TB,
		send: func(binary bool, text string) error {
			kind := coder.MessageText
			if binary {
				kind = coder.MessageBinary
			}
			return conn.Write(ctx, kind, []byte(text))
		},
		receive: func() (string, error) {
			kind, text, err := conn.Read(ctx)
			if err == nil && kind != coder.MessageText {
				err = errors.New("the message is binary")
			}
			return string(text), err
		},
		shut:        func() error { return conn.Close(coder.StatusNormalClosure, "") },
		drop:        conn.CloseNow,
		subprotocol: conn.Subprotocol(),
	}
}

// dialGorilla connects with gorilla/websocket.
func dialGorilla(s *server, subprotocols []string, header http.Header) *client {
	s.Helper()
	dialer := gorilla.Dialer{Subprotocols: subprotocols, HandshakeTimeout: patience}
	conn, _, err := dialer.Dial(s.url(), header)
	if err != nil {
		s.Fatalf("connecting with gorilla/websocket: %v", err)
	}
	s.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(patience))
	return &client{
		TB: s.TB,
		send: func(binary bool, text string) error {
			kind := gorilla.TextMessage
			if binary {
				kind = gorilla.BinaryMessage
			}
			return conn.WriteMessage(kind, []byte(text))
		},
		receive: func() (string, error) {
			kind, text, err := conn.ReadMessage()
			if err == nil && kind != gorilla.TextMessage {
				err = errors.New("the message is binary")
			}
			return string(text), err
		},
		shut: func() error {
			bye := gorilla.FormatCloseMessage(gorilla.CloseNormalClosure, "")
			if err := conn.WriteControl(gorilla.CloseMessage, bye, time.Now().Add(patience)); err != nil {
				return err
			}
			if _, _, err := conn.ReadMessage(); !gorilla.IsCloseError(err, gorilla.CloseNormalClosure) {
				return fmt.Errorf("the close frame was answered with %w", err)
			}
			return nil
		},
		drop:        conn.Close,
		subprotocol: conn.Subprotocol(),
	}
}

// says sends a text message.
func (c *client) says(text string) {
	c.Helper()
	if err := c.send(false, text); err != nil {
		c.Fatalf("sending %.80q: %v", text, err)
	}
}

// text receives a message.
func (c *client) text() string {
	c.Helper()
	text, err := c.receive()
	if err != nil {
		c.Fatalf("receiving: %v", err)
	}
	return text
}

// wants receives messages, which must be these.
func (c *client) wants(texts ...string) {
	c.Helper()
	for _, want := range texts {
		if got := c.text(); got != want {
			c.Fatalf("received\n%s, want\n%s", got, want)
		}
	}
}

// welcome receives the first message.
func (c *client) welcome() message {
	c.Helper()
	return decode[message](c, c.text())
}

// subscribe subscribes and returns the reply's epoch and offset.
func (c *client) subscribe(channel string) (epoch string, offset uint64) {
	c.Helper()
	c.says(fmt.Sprintf(`{"type":"subscribe","channel":%q}`, channel))
	reply := decode[message](c, c.text())
	if reply.Type != "subscribed" || reply.Channel != channel {
		c.Fatalf("subscribe was answered with %+v", reply)
	}
	return reply.Epoch, reply.Offset
}
