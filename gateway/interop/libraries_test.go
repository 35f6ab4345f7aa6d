package interop_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	gorilla "github.com/gorilla/websocket"
)

// httpHeader is o.Header for net/http.
func (o options) httpHeader() http.Header {
	h := http.Header{}
	for name, value := range o.Header {
		h.Set(name, value)
	}
	return h
}

// reading is what a library's reading goroutine has received: libraries answer
// pings and hear pongs only while somebody reads.
type reading chan arrival

type arrival struct {
	message
	err error // the last
}

// readAll reads until there is an error.
func readAll(read func() (message, error)) reading {
	r := make(reading, 64) // more than any test leaves unread
	go func() {
		for {
			m, err := read()
			r <- arrival{m, err}
			if err != nil {
				return
			}
		}
	}()
	return r
}

func (r reading) receive() (message, error) {
	a := <-r
	return a.message, a.err
}

// coderClient is github.com/coder/websocket.
type coderClient struct {
	reading
	conn       *coder.Conn
	ctx        context.Context
	extensions string
}

func dialCoder(t *testing.T, o options) client {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	mode := coder.CompressionDisabled
	if o.Deflate == true {
		mode = coder.CompressionContextTakeover
	}
	conn, response, err := coder.Dial(ctx, o.URL, &coder.DialOptions{Subprotocols: o.Subprotocols, HTTPHeader: o.httpHeader(), CompressionMode: mode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(-1)
	messages := readAll(func() (message, error) {
		kind, data, err := conn.Read(ctx)
		return message{kind == coder.MessageBinary, string(data)}, err
	})
	return &coderClient{messages, conn, ctx, extensionsOf(response)}
}

func extensionsOf(r *http.Response) string { return r.Header.Get("Sec-WebSocket-Extensions") }

func (c *coderClient) negotiated() (subprotocol, extensions string) {
	return c.conn.Subprotocol(), c.extensions
}

func (c *coderClient) send(m message) error {
	kind := coder.MessageText
	if m.binary {
		kind = coder.MessageBinary
	}
	return c.conn.Write(c.ctx, kind, []byte(m.data))
}

func (c *coderClient) ping() error { return c.conn.Ping(c.ctx) }

func (c *coderClient) close() (int, error) {
	if err := c.conn.Close(coder.StatusNormalClosure, "done"); err != nil {
		return 0, err
	}
	// Either the reading goroutine or Close has taken the server's close frame. If it
	// was Close, that has compared the code.
	_, err := c.receive()
	if errors.Is(err, net.ErrClosed) {
		return int(coder.StatusNormalClosure), nil
	}
	return int(coder.CloseStatus(err)), nil
}

// gorillaClient is github.com/gorilla/websocket.
type gorillaClient struct {
	reading
	conn       *gorilla.Conn
	pongs      chan string
	extensions string
}

func dialGorilla(t *testing.T, o options) client {
	dialer := gorilla.Dialer{Subprotocols: o.Subprotocols, HandshakeTimeout: patience, EnableCompression: o.Deflate == true}
	conn, response, err := dialer.Dial(o.URL, o.httpHeader())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(patience))
	pongs := make(chan string, 1)
	conn.SetPongHandler(func(data string) error { pongs <- data; return nil })
	messages := readAll(func() (message, error) {
		kind, data, err := conn.ReadMessage()
		return message{kind == gorilla.BinaryMessage, string(data)}, err
	})
	return &gorillaClient{messages, conn, pongs, extensionsOf(response)}
}

func (c *gorillaClient) negotiated() (subprotocol, extensions string) {
	return c.conn.Subprotocol(), c.extensions
}

func (c *gorillaClient) send(m message) error {
	kind := gorilla.TextMessage
	if m.binary {
		kind = gorilla.BinaryMessage
	}
	return c.conn.WriteMessage(kind, []byte(m.data))
}

func (c *gorillaClient) ping() error {
	if err := c.conn.WriteControl(gorilla.PingMessage, []byte("beat"), time.Now().Add(patience)); err != nil {
		return err
	}
	select {
	case data := <-c.pongs:
		if data != "beat" {
			return fmt.Errorf("pong with %q", data)
		}
		return nil
	case a := <-c.reading:
		return fmt.Errorf("%q, %v; want a pong", a.data, a.err)
	}
}

func (c *gorillaClient) close() (int, error) {
	bye := gorilla.FormatCloseMessage(gorilla.CloseNormalClosure, "done")
	if err := c.conn.WriteControl(gorilla.CloseMessage, bye, time.Now().Add(patience)); err != nil {
		return 0, err
	}
	_, err := c.receive()
	var closed *gorilla.CloseError
	if !errors.As(err, &closed) {
		return 0, fmt.Errorf("the close frame was answered with %v", err)
	}
	return closed.Code, nil
}

// gobwasClient is the dialer of github.com/gobwas/ws and its frames.
type gobwasClient struct {
	net.Conn
	in io.Reader
	ws.Handshake
}

func dialGobwas(t *testing.T, o options) client {
	dialer := ws.Dialer{Protocols: o.Subprotocols, Timeout: patience, Header: ws.HandshakeHeaderHTTP(o.httpHeader())}
	if o.Deflate == true {
		dialer.Extensions = []httphead.Option{wsflate.DefaultParameters.Option()}
	}
	conn, behind, handshake, err := dialer.Dial(t.Context(), o.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	if behind == nil {
		behind = bufio.NewReader(conn)
	}
	return &gobwasClient{conn, behind, handshake}
}

func (c *gobwasClient) negotiated() (subprotocol, extensions string) {
	for _, e := range c.Extensions {
		extensions += e.String()
	}
	return c.Protocol, extensions
}

func (c *gobwasClient) write(op ws.OpCode, data string) error {
	return ws.WriteFrame(c.Conn, ws.MaskFrame(ws.NewFrame(op, true, []byte(data))))
}

// read reads a frame that is a message of its own. Its dialer offers to do
// without context takeover, so that each is compressed alone.
func (c *gobwasClient) read() (ws.Frame, error) {
	header, err := ws.ReadHeader(c.in)
	if err != nil {
		return ws.Frame{}, err
	}
	if header.Length > 16<<20 {
		return ws.Frame{}, fmt.Errorf("a frame of %d bytes", header.Length)
	}
	f := ws.Frame{Header: header, Payload: make([]byte, header.Length)}
	if _, err := io.ReadFull(c.in, f.Payload); err != nil {
		return f, err
	}
	if f.Header.Rsv1() {
		if len(c.Extensions) == 0 {
			return f, errors.New("a compressed frame, and no compression was agreed on")
		}
		return wsflate.DecompressFrame(f)
	}
	return f, nil
}

func (c *gobwasClient) send(m message) error {
	if m.binary {
		return c.write(ws.OpBinary, m.data)
	}
	return c.write(ws.OpText, m.data)
}

func (c *gobwasClient) receive() (message, error) {
	f, err := c.read()
	if err == nil && !f.Header.OpCode.IsData() {
		err = fmt.Errorf("opcode %d with %q, want a message", f.Header.OpCode, f.Payload)
	}
	return message{f.Header.OpCode == ws.OpBinary, string(f.Payload)}, err
}

func (c *gobwasClient) ping() error {
	if err := c.write(ws.OpPing, "beat"); err != nil {
		return err
	}
	f, err := c.read()
	if err == nil && (f.Header.OpCode != ws.OpPong || string(f.Payload) != "beat") {
		err = fmt.Errorf("opcode %d with %q, want a pong", f.Header.OpCode, f.Payload)
	}
	return err
}

func (c *gobwasClient) close() (int, error) {
	if err := c.write(ws.OpClose, string(ws.NewCloseFrameBody(ws.StatusNormalClosure, "done"))); err != nil {
		return 0, err
	}
	f, err := c.read()
	if err != nil || f.Header.OpCode != ws.OpClose {
		return 0, fmt.Errorf("opcode %d with %q, %v; want a close frame", f.Header.OpCode, f.Payload, err)
	}
	code, _ := ws.ParseCloseFrameData(f.Payload)
	if _, err := io.ReadAll(c.in); err != nil {
		return int(code), err
	}
	return int(code), nil
}
