package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// handshakeHead is a handshake request that is accepted, up to its empty line.
const handshakeHead = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// offer is the header of a client that offers to compress as browsers do.
const offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

// livePeer is one socket to a gateway. What it receives is parsed by gobwas/ws
// and bufio, not by the code under test.
type livePeer struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (g *liveGateway) dialTo(addr string, dialer net.Dialer) *livePeer {
	g.Helper()
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		g.Fatal(err)
	}
	g.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &livePeer{g.T, conn, bufio.NewReader(conn)}
}

// handshake asks for a WebSocket and returns the answer.
func (g *liveGateway) handshake(headers ...string) (*livePeer, *http.Response) {
	g.Helper()
	p := g.dial()
	return p, p.handshake(headers...)
}

func (p *livePeer) handshake(headers ...string) *http.Response {
	p.t.Helper()
	p.sends(handshakeHead + strings.Join(append(headers, ""), "\r\n") + "\r\n")
	response, err := http.ReadResponse(p.in, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return response
}

// connect makes a client and takes its welcome.
func (g *liveGateway) connect() *livePeer {
	g.Helper()
	p := g.dial()
	return p.welcomed()
}

func (p *livePeer) welcomed() *livePeer {
	p.t.Helper()
	if response := p.handshake(); response.StatusCode != http.StatusSwitchingProtocols {
		p.t.Fatalf("the handshake was answered with %s", response.Status)
	}
	p.text()
	return p
}

// connectNarrow is connect with a small receive buffer, so that the client lags
// as soon as it does not read.
func (g *liveGateway) connectNarrow() *livePeer {
	g.Helper()
	addr := strings.TrimSuffix(strings.TrimPrefix(g.url, "ws://"), "/ws")
	return g.dialTo(addr, net.Dialer{Timeout: patience, Control: func(_, _ string, c syscall.RawConn) (err error) {
		controlErr := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
		})
		return errors.Join(controlErr, err)
	}}).welcomed()
}

func (p *livePeer) sends(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, text); err != nil {
		p.t.Fatal(err)
	}
}

// says sends a text message.
func (p *livePeer) says(text string) {
	p.t.Helper()
	var b bytes.Buffer
	if err := ws.WriteFrame(&b, ws.MaskFrame(ws.NewTextFrame([]byte(text)))); err != nil {
		p.t.Fatal(err)
	}
	p.sends(b.String())
}

// line reads one line of the publish port.
func (p *livePeer) line() string {
	p.t.Helper()
	line, err := p.in.ReadString('\n')
	if err != nil {
		p.t.Errorf("reading a line: %v behind %q", err, line)
	}
	return line
}

// readServerFrame reads a frame of at most 16 MiB.
func readServerFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	if f.Header.Length > 16<<20 {
		return f, fmt.Errorf("the frame's length is %d", f.Header.Length)
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}

// frame reads the next frame that is no ping.
func (p *livePeer) frame() ws.Frame {
	p.t.Helper()
	for {
		f, err := readServerFrame(p.in)
		if err != nil {
			p.t.Fatalf("reading a frame: %v", err)
		}
		if f.Header.OpCode != ws.OpPing {
			return f
		}
	}
}

// text reads the next message.
func (p *livePeer) text() string {
	p.t.Helper()
	return string(p.frame().Payload)
}

// answer reads the next message and tells its type, the code of an error, or the
// code with which the connection is closed.
func (p *livePeer) answer() string {
	p.t.Helper()
	f := p.frame()
	if f.Header.OpCode == ws.OpClose {
		code, _ := ws.ParseCloseFrameData(f.Payload)
		return fmt.Sprint(code)
	}
	var message struct{ Type, Code string }
	if err := json.Unmarshal(f.Payload, &message); err != nil {
		p.t.Fatal(err)
	}
	if message.Code != "" {
		return message.Code
	}
	return message.Type
}

// stats asks for the gateway's counters.
func (g *liveGateway) stats() (stats gateway.GatewayStats) {
	g.Helper()
	_, text := fetch(g.T, g.admin+"/api/stats")
	if err := json.Unmarshal([]byte(text), &stats); err != nil {
		g.Fatalf("%v: %.200s", err, text)
	}
	return stats
}

// settled waits until every event that was published has reached the clients or
// their backlogs.
func (g *liveGateway) settled() {
	g.Helper()
	for deadline := time.Now().Add(patience); ; {
		if stats := g.stats(); stats.Publish.CreditsUsed == 0 {
			return
		} else if time.Now().After(deadline) {
			g.Fatalf("events are still under way: %+v", stats.Publish)
		}
	}
}
