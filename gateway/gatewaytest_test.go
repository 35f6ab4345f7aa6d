package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
)

const (
	// patience is how long a test waits for what must happen.
	patience = time.Minute
	// head is a handshake request that is accepted, up to its empty line.
	head = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)

// server is a gateway that runs until its test ends.
type server struct {
	testing.TB
	*gateway.Gateway
	ended chan struct{} // closed when Run has returned
}

// start runs a gateway with two shards on ports of its own. set may change the
// configuration before.
func start(tb testing.TB, set ...func(*gateway.Config)) *server {
	tb.Helper()
	return run(tb, prepare(tb, set...))
}

// prepare is start for a gateway that does not run yet.
func prepare(tb testing.TB, set ...func(*gateway.Config)) *gateway.Gateway {
	tb.Helper()
	config := gateway.DefaultConfig(10_000)
	config.Shards = 2
	// A busy machine must not end a test's connections, nor have pings come between
	// what a test expects. Tests of these times set them.
	config.HandshakeTimeout, config.PingInterval, config.PongTimeout = time.Minute, 10*time.Minute, time.Minute
	for _, f := range set {
		f(&config)
	}
	g, err := gateway.New(config, testrun.Log(tb))
	if err != nil {
		tb.Fatalf("starting a gateway: %v", err)
	}
	return g
}

// run runs a gateway until its test ends.
func run(tb testing.TB, g *gateway.Gateway) *server {
	tb.Helper()
	s := &server{TB: tb, Gateway: g, ended: make(chan struct{})}
	go func() {
		g.Run()
		close(s.ended)
	}()
	tb.Cleanup(func() {
		g.Close()
		s.awaitEnd()
	})
	return s
}

// awaitEnd waits for Run to return.
func (s *server) awaitEnd() {
	s.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.Error("the gateway does not stop")
	}
}

// noRates lets clients send as fast as they can.
func noRates(c *gateway.Config) { c.ClientCommands, c.ClientPublishes = gateway.Rate{}, gateway.Rate{} }

// neverSlow lets events wait for longer than any test takes.
func neverSlow(c *gateway.Config) { c.SlowAfter = 5 * time.Minute }

// noPings keeps pings out of what clients receive, and clients that are not read from
// being taken for gone.
func noPings(c *gateway.Config) { c.PingInterval, c.PongTimeout = time.Hour, time.Hour }

// oneShard gives every client the same loop.
func oneShard(c *gateway.Config) { c.Shards = 1 }

func (s *server) clientAddr() string  { return s.ClientAddrs()[0].String() }
func (s *server) publishAddr() string { return s.PublishAddrs()[0].String() }
func (s *server) url() string         { return "ws://" + s.clientAddr() + gateway.Path }

// stats asks for the counters.
func (s *server) stats() gateway.GatewayStats {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stats, err := s.Stats(ctx)
	if err != nil {
		s.Fatalf("asking for the counters: %v", err)
	}
	return stats
}

// eventually waits until the counters satisfy the condition that what names.
func (s *server) eventually(what string, condition func(gateway.GatewayStats) bool) gateway.GatewayStats {
	s.Helper()
	poll := time.NewTicker(500 * time.Microsecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); ; <-poll.C {
		stats := s.stats()
		if condition(stats) {
			return stats
		}
		if time.Now().After(deadline) {
			s.Fatalf("%s does not come about; the counters are %+v", what, stats)
		}
	}
}

// stops waits until a counter that has begun to grow stands still for a while,
// as where the gateway no longer reads a peer.
func (s *server) stops(what string, counter func(gateway.GatewayStats) uint64) {
	s.Helper()
	const still = 100 * time.Millisecond
	var last uint64
	since := time.Now()
	s.eventually("the end of "+what, func(g gateway.GatewayStats) bool {
		if n := counter(g); n != last {
			last, since = n, time.Now()
		}
		return last > 0 && time.Since(since) >= still
	})
}

// peer is one raw socket to the gateway. What it receives is parsed by
// gobwas/ws and bufio, not by the code under test.
type peer struct {
	testing.TB
	*net.TCPConn
	in *bufio.Reader
}

// dial connects to addr. receiveBuffer is SO_RCVBUF in bytes, 0 for the usual.
func dial(tb testing.TB, addr string, receiveBuffer int) *peer {
	tb.Helper()
	dialer := net.Dialer{Timeout: patience}
	if receiveBuffer > 0 {
		dialer.Control = func(_, _ string, c syscall.RawConn) (err error) {
			controlErr := c.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer)
			})
			return errors.Join(controlErr, err)
		}
	}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		tb.Fatalf("connecting to %s: %v", addr, err)
	}
	tb.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return newPeer(tb, conn.(*net.TCPConn))
}

func newPeer(tb testing.TB, conn *net.TCPConn) *peer { return &peer{tb, conn, bufio.NewReader(conn)} }

// dialRaw connects to the client port, without a handshake.
func (s *server) dialRaw() *peer {
	s.Helper()
	return dial(s.TB, s.clientAddr(), 0)
}

// connect makes a WebSocket client and takes its welcome.
func (s *server) connect() *peer {
	s.Helper()
	return s.upgrade(s.dialRaw())
}

// connectNarrow is connect with a small receive buffer, so that the client lags
// as soon as it does not read.
func (s *server) connectNarrow() *peer {
	s.Helper()
	return s.upgrade(dial(s.TB, s.clientAddr(), 4<<10))
}

func (s *server) upgrade(p *peer) *peer {
	s.Helper()
	p.sends(head + "\r\n")
	p.upgraded()
	p.text() // welcome
	return p
}

// publisher connects to the publish port.
func (s *server) publisher() *peer {
	s.Helper()
	return dial(s.TB, s.publishAddr(), 0)
}

// sends writes bytes.
func (p *peer) sends(text string) {
	p.Helper()
	if _, err := io.WriteString(p.TCPConn, text); err != nil {
		p.Fatalf("sending %.60q: %v", text, err)
	}
}

// upgraded reads the answer to a handshake, which must be 101, and returns it.
func (p *peer) upgraded() string {
	p.Helper()
	answer := p.responseHead()
	if !strings.HasPrefix(answer, "HTTP/1.1 101 ") {
		p.Fatalf("the handshake was answered with %q", answer)
	}
	return answer
}

// responseHead reads an HTTP response up to its empty line.
func (p *peer) responseHead() string {
	p.Helper()
	var answer strings.Builder
	for !strings.HasSuffix(answer.String(), "\r\n\r\n") {
		line, err := p.in.ReadString('\n')
		answer.WriteString(line)
		if err != nil {
			p.Fatalf("reading a response: %v behind %q", err, answer.String())
		}
	}
	return answer.String()
}

// readFrame reads a frame of at most 16 MiB.
func readFrame(r io.Reader) (f ws.Frame, err error) {
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

// frame reads the next frame.
func (p *peer) frame() ws.Frame {
	p.Helper()
	f, err := readFrame(p.in)
	if err != nil {
		p.Fatalf("reading a frame: %v", err)
	}
	if f.Header.Masked || f.Header.Rsv != 0 || !f.Header.Fin {
		p.Fatalf("the gateway sent a frame with the header %+v", f.Header)
	}
	return f
}

// text reads the next message, which must be text; pings before it are skipped.
func (p *peer) text() string {
	p.Helper()
	f := p.frame()
	for f.Header.OpCode == ws.OpPing {
		f = p.frame()
	}
	if f.Header.OpCode != ws.OpText {
		p.Fatalf("received opcode %#x with %q, want a text", f.Header.OpCode, f.Payload)
	}
	return string(f.Payload)
}

// wants reads messages, which must be these texts.
func (p *peer) wants(texts ...string) {
	p.Helper()
	for _, want := range texts {
		if got := p.text(); got != want {
			p.Fatalf("received\n%s, want\n%s", got, want)
		}
	}
}

// closes reads a close frame, which must carry this, and then the FIN.
func (p *peer) closes(code ws.StatusCode, reason string) {
	p.Helper()
	p.closesWith(p.frame(), code, reason)
}

// closesWith is closes for a frame that was read.
func (p *peer) closesWith(f ws.Frame, code ws.StatusCode, reason string) {
	p.Helper()
	if f.Header.OpCode != ws.OpClose {
		p.Fatalf("received opcode %#x with %q, want a close frame", f.Header.OpCode, f.Payload)
	}
	gotCode, gotReason := ws.ParseCloseFrameData(f.Payload)
	if gotCode != code || gotReason != reason {
		p.Fatalf("closed with %d %q, want %d %q", gotCode, gotReason, code, reason)
	}
	p.ends()
}

// ends reads the gateway's FIN, before which nothing more may come.
func (p *peer) ends() {
	p.Helper()
	if rest, err := io.ReadAll(p.in); err != nil || len(rest) > 0 {
		p.Fatalf("received %.200q and %v, want the end", rest, err)
	}
}

// clientFrame is a masked frame.
func clientFrame(op ws.OpCode, fin bool, payload string) string {
	f := ws.MaskFrame(ws.NewFrame(op, fin, []byte(payload)))
	var b bytes.Buffer
	if err := ws.WriteFrame(&b, f); err != nil {
		panic(err)
	}
	return b.String()
}

// says sends a text message.
func (p *peer) says(text string) {
	p.Helper()
	p.sends(clientFrame(ws.OpText, true, text))
}

// line reads one line of the publish port, without its end.
func (p *peer) line() string {
	p.Helper()
	line, err := p.in.ReadString('\n')
	if err != nil {
		p.Fatalf("reading a line: %v behind %q", err, line)
	}
	return strings.TrimRight(line, "\r\n")
}

// receives reads exactly as many bytes as text has, which must be text.
func (p *peer) receives(text string) {
	p.Helper()
	got := make([]byte, len(text))
	n, err := io.ReadFull(p.in, got)
	if err != nil || string(got) != text {
		p.Fatalf("received\n%q (%v), want\n%q", got[:n], err, text)
	}
}

// subscribe subscribes and returns the reply's epoch and offset.
func (p *peer) subscribe(channel string) (epoch string, offset uint64) {
	p.Helper()
	p.says(fmt.Sprintf(`{"type":"subscribe","channel":%q}`, channel))
	reply := decode[message](p, p.text())
	if reply.Type != "subscribed" || reply.Channel != channel {
		p.Fatalf("subscribe was answered with %+v", reply)
	}
	return reply.Epoch, reply.Offset
}

// subscribed is the reply to subscribe.
func subscribed(id, channel, epoch string, offset uint64) string {
	return fmt.Sprintf(`{"type":"subscribed",%s"channel":%q,"epoch":%q,"offset":%d}`, id, channel, epoch, offset)
}

// event is an event's message.
func event(channel string, offset uint64, data string) string {
	return fmt.Sprintf(`{"type":"event","channel":%q,"offset":%d,"data":%s}`, channel, offset, data)
}

// publishes publishes one event and waits for the result.
func (p *peer) publishes(channel, data string) result {
	p.Helper()
	p.sends(fmt.Sprintf(`{"id":1,"channel":%q,"data":%s}`+"\n", channel, data))
	reply := decode[answer](p, p.line())
	if len(reply.Results) != 1 {
		p.Fatalf("publish was answered with %+v", reply)
	}
	return reply.Results[0]
}

// publish publishes one event over a connection of its own.
func (s *server) publish(channel, data string) result {
	s.Helper()
	p := s.publisher()
	defer p.Close()
	return p.publishes(channel, data)
}

// descriptors is the number of descriptors that this process has open.
func descriptors(tb testing.TB) int {
	tb.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	return len(entries)
}
