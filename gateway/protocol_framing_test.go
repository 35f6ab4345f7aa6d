package gateway_test

import (
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// ping is a command, pong its answer.
const (
	ping = `{"type":"ping"}`
	pong = `{"type":"pong"}`
)

// TestFramingViolations proves RFC 6455, 5.1, 5.2, 5.5 and 7.1.7.
func TestFramingViolations(t *testing.T) {
	s := start(t)
	fragment := clientFrame(ws.OpText, false, "{")
	tests := []struct {
		name, bytes string
		code        ws.StatusCode
		reason      string
	}{
		{"unmasked", "\x81\x00", 1002, "frame from a client is not masked"},
		{"reserved bit", "\xc1\x80mask", 1002, "reserved bit set without an extension"},
		{"reserved opcode", "\x83\x80mask", 1002, "reserved opcode"},
		{"reserved control opcode", "\x8b\x80mask", 1002, "reserved opcode"},
		{"16-bit length too long", "\x81\xfe\x00\x7dmask", 1002, "payload length not in its shortest form"},
		{"64-bit length too long", "\x81\xff\x00\x00\x00\x00\x00\x00\xff\xffmask", 1002, "payload length not in its shortest form"},
		{"highest bit", "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00mask", 1002, "payload length with its highest bit set"},
		{"long ping", "\x89\xfe\x00\x7emask", 1002, "control frame longer than 125 bytes"},
		{"fragmented ping", clientFrame(ws.OpPing, false, ""), 1002, "fragmented control frame"},
		{"nothing to continue", clientFrame(ws.OpContinuation, true, "x"), 1002, "continuation frame without a message to continue"},
		{"text inside a message", fragment + clientFrame(ws.OpText, true, "}"), 1002, "new data frame inside a fragmented message"},
		{"text is not UTF-8", clientFrame(ws.OpText, true, "\xff"), 1007, "text message is not UTF-8"},
		{"text ends inside a character", clientFrame(ws.OpText, false, "\xc3") + clientFrame(ws.OpContinuation, true, ""), 1007, "text message is not UTF-8"},
		{"fragment cannot become UTF-8", clientFrame(ws.OpText, false, "\xed\xa0"), 1007, "text message is not UTF-8"},
		{"close of one byte", clientFrame(ws.OpClose, true, "\x03"), 1002, "close frame with a body of one byte"},
		{"close 1005", clientFrame(ws.OpClose, true, "\x03\xed"), 1002, "close code that must not be sent"},
		{"close 999", clientFrame(ws.OpClose, true, "\x03\xe7"), 1002, "close code that must not be sent"},
		{"close reason is not UTF-8", clientFrame(ws.OpClose, true, "\x03\xe8\xff"), 1007, "close reason is not UTF-8"},
		{"64 KiB and one byte, by the header", "\x81\xff\x00\x00\x00\x00\x00\x01\x00\x01mask", 1009, "message is larger than this endpoint takes"},
		{"4 EiB", "\x82\xff\x40\x00\x00\x00\x00\x00\x00\x00mask", 1009, "message is larger than this endpoint takes"},
		{"fragments beyond 64 KiB", clientFrame(ws.OpText, false, strings.Repeat("x", 64<<10)) + "\x80\x81mask", 1009, "message is larger than this endpoint takes"},
	}
	reasons := map[ws.StatusCode]string{1002: "protocol_error", 1007: "protocol_error", 1009: "message_too_big"}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			counted := func() uint64 { return s.stats().Total.Disconnects[reasons[test.code]] }
			before := counted()
			p := s.connect()
			// What stood before the violation is served, what follows is not.
			p.sends(clientFrame(ws.OpText, true, ping) + test.bytes + clientFrame(ws.OpText, true, ping))
			p.wants(`{"type":"pong"}`)
			p.closes(test.code, test.reason)
			p.Close()
			s.eventually("the count of the violation", func(g gateway.GatewayStats) bool {
				return g.Total.Connections == 0 && g.Total.Disconnects[reasons[test.code]] == before+1
			})
		})
	}
}

func TestLargestMessage(t *testing.T) {
	p := start(t).connect()
	command := ping + strings.Repeat(" ", 64<<10-len(ping))
	p.says(command)
	p.wants(`{"type":"pong"}`)
	p.sends(clientFrame(ws.OpText, false, command[:100]) + clientFrame(ws.OpContinuation, true, command[100:]))
	p.wants(`{"type":"pong"}`)
}

// TestMaxMessage proves RFC 6455, 10.4.
func TestMaxMessage(t *testing.T) {
	p := start(t, func(c *gateway.Config) { c.MaxMessage = 128 }).connect()
	p.says(ping + strings.Repeat(" ", 128-len(ping)))
	p.wants(`{"type":"pong"}`)
	p.says(ping + strings.Repeat(" ", 129-len(ping)))
	p.closes(1009, "message is larger than this endpoint takes")
}

// TestFramesInPieces has fragments, control frames between them, and every
// split (RFC 6455, 5.1, 5.2, 5.4 and 5.5.3).
func TestFramesInPieces(t *testing.T) {
	s := start(t)
	script := clientFrame(ws.OpText, false, `{"type":"pi`) + clientFrame(ws.OpPing, true, "a") +
		clientFrame(ws.OpContinuation, false, `ng","`) + clientFrame(ws.OpPong, true, "unasked") +
		clientFrame(ws.OpContinuation, true, `id":1}`) + clientFrame(ws.OpText, true, ping)
	check := func(p *peer) {
		p.Helper()
		if f := p.frame(); f.Header.OpCode != ws.OpPong || string(f.Payload) != "a" {
			p.Fatalf("the ping was answered with %v %q", f.Header.OpCode, f.Payload)
		}
		p.wants(`{"type":"pong","id":1}`, `{"type":"pong"}`)
	}
	p := s.connect()
	for at := range len(script) + 1 {
		before := s.stats().Total.BytesIn
		p.sends(script[:at])
		s.eventually("the first half", func(g gateway.GatewayStats) bool { return g.Total.BytesIn == before+uint64(at) })
		p.sends(script[at:])
		check(p)
	}
	for i := range len(script) {
		p.sends(script[i : i+1])
	}
	check(p)
}

// TestCloseIsEchoed proves RFC 6455, 5.5.1 and 7.1.1.
func TestCloseIsEchoed(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		code ws.StatusCode
	}{
		"normal":      {"\x03\xe8", 1000},
		"with reason": {"\x03\xe9gone", 1001},
		"own code":    {"\x0f\xa0", 4000},
		"no code":     {"", ws.StatusNoStatusRcvd},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			p := s.connect()
			p.subscribe("news")
			p.sends(clientFrame(ws.OpText, true, ping) + clientFrame(ws.OpClose, true, test.body) +
				clientFrame(ws.OpText, true, ping))
			p.wants(`{"type":"pong"}`)
			// The session is over with the close frame, whatever the socket does.
			if total := s.stats().Total; total.Clients != 0 || total.Subscriptions != 0 || total.Connections != 1 {
				t.Errorf("the counters are %+v", total)
			}
			p.sends(clientFrame(ws.OpText, true, `{"type":"subscribe","channel":"late"}`) + "\xff\xff garbage")
			if f := p.frame(); f.Header.OpCode != ws.OpClose || name != "no code" && string(f.Payload) != test.body[:2] ||
				name == "no code" && len(f.Payload) > 0 {
				t.Errorf("the close frame was answered with opcode %#x and %q", f.Header.OpCode, f.Payload)
			}
			p.ends()
			p.Close()
			stats := s.eventually("the end", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
			if stats.Total.Disconnects["client_closed"] != 1 || stats.Total.ClientMessages != 2 {
				t.Errorf("the counters are %+v", stats.Total)
			}
		})
	}
}

// A client that does not close its side after the closing handshake is reset in
// the end (RFC 6455, 7.1.1).
func TestCloseIsBounded(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t)
	p := s.connect()
	p.sends(clientFrame(ws.OpClose, true, "\x03\xe8"))
	p.closes(1000, "")
	s.eventually("the end", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
}

func TestVanishedClients(t *testing.T) {
	for name, vanish := range map[string]func(p *peer){
		"FIN":        func(p *peer) { p.Close() },
		"half-close": func(p *peer) { p.CloseWrite() },
		"reset":      func(p *peer) { p.SetLinger(0); p.Close() },
		"mid-frame":  func(p *peer) { p.sends("\x81\xfe\x01\x00mask..."); p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			p := s.connect()
			p.subscribe("news")
			vanish(p)
			stats := s.eventually("the end", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
			if stats.Total.Disconnects["client_vanished"] != 1 || stats.Total.Subscriptions != 0 || stats.Total.Channels != 0 {
				t.Errorf("the counters are %+v", stats.Total)
			}
		})
	}
}
