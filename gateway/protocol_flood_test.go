package gateway_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// slowRate allows a client hardly any command, and a thousand frames a second.
func slowRate(c *gateway.Config) { c.ClientCommands = gateway.Rate{PerSecond: 1, Burst: 1} }

// floods are what a client can send without end, none of it a command that its rate
// allows.
func floods() map[string]struct{ first, frame string } {
	names := `{"type":"subscribe","channels":["a"` + strings.Repeat(`,"a"`, 1000) + `]}`
	return map[string]struct{ first, frame string }{
		"pings":              {"", clientFrame(ws.OpPing, true, "")},
		"pongs":              {"", clientFrame(ws.OpPong, true, "")},
		"empty fragments":    {clientFrame(ws.OpText, false, ""), clientFrame(ws.OpContinuation, false, "")},
		"fragments of bytes": {clientFrame(ws.OpText, false, ""), clientFrame(ws.OpContinuation, false, "x")},
		"refused commands":   {"", clientFrame(ws.OpText, true, `{"type":"ping"}`)},
		"not JSON":           {"", clientFrame(ws.OpText, true, "")},
		"binary":             {"", clientFrame(ws.OpBinary, true, "")},
		"refused names":      {"", clientFrame(ws.OpText, true, names)},
		"large and refused":  {"", clientFrame(ws.OpText, true, `{"type":"ping","x":"`+strings.Repeat("x", 60<<10)+`"}`)},
	}
}

// TestFloodsAreNotRead has a client send each kind of frame far faster than its rate
// allows: the gateway soon stops reading it, and serves others.
func TestFloodsAreNotRead(t *testing.T) {
	for name, flood := range floods() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if raceDetected() && len(flood.frame) > 32<<10 {
				t.Skip("under the race detector large messages are handled too slowly for a flood")
			}
			// One byte short of the message's limit, fragments would close the connection.
			s := start(t, oneShard, slowRate, func(c *gateway.Config) { c.MaxMessage = 128 << 20 })
			hostile, honest := s.connect(), s.connect()
			go io.Copy(io.Discard, hostile.in)
			const sent = 64 << 20
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = io.WriteString(hostile.TCPConn, flood.first)
				batch := strings.Repeat(flood.frame, 1+(64<<10)/len(flood.frame))
				for n := 0; n < sent; n += len(batch) {
					if _, err := io.WriteString(hostile.TCPConn, batch); err != nil {
						return // the test is over
					}
				}
			}()
			s.eventually("a client that is not read", func(g gateway.GatewayStats) bool { return g.Total.Throttles > 0 })
			honest.says(`{"type":"ping","id":1}`)
			honest.wants(`{"type":"pong","id":1}`)
			stats := s.stats()
			// Large messages that are refused: eight are charged like 72 frames, of which 1,024
			// and a thousand a second may come.
			if stats.Total.BytesIn > sent/2 || stats.Total.Clients != 2 {
				t.Errorf("%d bytes of a flood were read, %d clients are left", stats.Total.BytesIn, stats.Total.Clients)
			}
			hostile.Close()
			<-ended
		})
	}
}

// Whoever has flooded is read on as its rate allows, and misses nothing.
func TestFloodIsReadOn(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, func(c *gateway.Config) { c.ClientCommands = gateway.Rate{PerSecond: 5000, Burst: 10} })
	p := s.connect()
	const pings = 8_000
	go io.WriteString(p.TCPConn, strings.Repeat(clientFrame(ws.OpPing, true, "p"), pings))
	for i := range pings {
		if f := p.frame(); f.Header.OpCode != ws.OpPong || string(f.Payload) != "p" {
			t.Fatalf("answer %d has opcode %#x and %q", i, f.Header.OpCode, f.Payload)
		}
	}
	if n := s.stats().Total.Throttles; n == 0 {
		t.Error("the flood was not slowed down")
	}
	const pong = `{"type":"pong","id":1}`
	for answer := ""; answer != pong; {
		p.says(`{"type":"ping","id":1}`)
		if answer = p.text(); answer != pong && decode[message](t, answer).Code != "rate_limited" {
			t.Fatalf("a command behind the flood is answered with %s", answer)
		}
	}
}

// TestFragmentsOfOrdinaryClients sends as many large messages as the rate allows, in
// frames of a few KiB, with pings between.
func TestFragmentsOfOrdinaryClients(t *testing.T) {
	s := start(t)
	p := s.connect()
	const piece = 4 << 10
	for i := range 50 {
		text := fmt.Sprintf(`{"type":"ping","id":%d,"x":"%s"}`, i, strings.Repeat("x", 60<<10))
		for at := 0; at < len(text); at += piece {
			op, end := ws.OpContinuation, min(at+piece, len(text))
			if at == 0 {
				op = ws.OpText
			}
			p.sends(clientFrame(op, end == len(text), text[at:end]))
		}
		p.sends(clientFrame(ws.OpPing, true, "between"))
		p.wants(fmt.Sprintf(`{"type":"pong","id":%d}`, i))
		if f := p.frame(); f.Header.OpCode != ws.OpPong {
			t.Fatalf("a ping is answered with opcode %#x", f.Header.OpCode)
		}
	}
	if n := s.stats().Total.Throttles; n != 0 {
		t.Errorf("the client was not read %d times", n)
	}
}
