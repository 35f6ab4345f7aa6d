package gateway_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// TestTextFailsFast: the close frame comes while the rest of the message has not
// been sent (RFC 6455, 5.6, 7.1.7 and 8.1).
func TestTextFailsFast(t *testing.T) {
	s := start(t)
	// unfinished is the start of a frame with 100 bytes to come.
	unfinished := func(op ws.OpCode, text string) string {
		whole := clientFrame(op, true, text+strings.Repeat("z", 100))
		return whole[:len(whole)-100]
	}
	for name, bytes := range map[string]string{
		"byte of a frame":                   unfinished(ws.OpText, "κόσμε\xff"),
		"second byte of a character":        unfinished(ws.OpText, "κόσμε\xed\xa0"),
		"fragment":                          clientFrame(ws.OpText, false, "κόσμε\xf4") + clientFrame(ws.OpContinuation, false, "\x90"),
		"byte of a fragment":                clientFrame(ws.OpText, false, "\xe2") + unfinished(ws.OpContinuation, "\x28"),
		"last fragment without the rest":    clientFrame(ws.OpText, false, "\xe2\x82") + "\x80\x80mask",
		"last fragment without room":        clientFrame(ws.OpText, false, "\xf0\x9f") + "\x80\x81mask",
		"character longer than the message": "\x81\x83\x00\x00\x00\x00a\xf0",
	} {
		t.Run(name, func(t *testing.T) {
			p := s.connect()
			p.sends(bytes)
			p.closes(1007, "text message is not UTF-8")
			p.Close()
		})
	}
}

// TestPingIsAnsweredBeforeTheMessageEnds: a pong comes while a message is under
// way, and says what the ping said (RFC 6455, 5.4, 5.5.2 and 5.5.3).
func TestPingIsAnsweredBeforeTheMessageEnds(t *testing.T) {
	p := start(t).connect()
	p.sends(clientFrame(ws.OpText, false, `{"type":`))
	for _, payload := range []string{"", "beat", "\x00\xff", strings.Repeat("p", 125)} {
		p.sends(clientFrame(ws.OpPing, true, payload))
		if f := p.frame(); f.Header.OpCode != ws.OpPong || string(f.Payload) != payload {
			t.Fatalf("the ping was answered with %v %q, want %q", f.Header.OpCode, f.Payload, payload)
		}
		p.sends(clientFrame(ws.OpContinuation, false, " "))
	}
	p.sends(clientFrame(ws.OpContinuation, true, `"ping"}`))
	p.wants(`{"type":"pong"}`)
}

// TestCloseCodes: a code that may be sent comes back, any other is answered with
// 1002 (RFC 6455, 5.5.1, 7.4, 7.4.1 and 7.4.2).
func TestCloseCodes(t *testing.T) {
	s := start(t)
	answers := map[ws.StatusCode][]int{
		0:    {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999},
		1002: {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535},
	}
	for answer, codes := range answers {
		for _, code := range codes {
			t.Run(fmt.Sprint(code), func(t *testing.T) {
				want, reason := answer, "close code that must not be sent"
				if answer == 0 {
					want, reason = ws.StatusCode(code), ""
				}
				p := s.connect()
				p.sends(clientFrame(ws.OpClose, true, string([]byte{byte(code >> 8), byte(code)})+"why"))
				p.closes(want, reason)
				p.Close()
			})
		}
	}
}

// TestCrossingCloses has clients and the gateway close at the same time: each
// client gets one close frame, the answer to its own or the gateway's, and then
// the FIN (RFC 6455, 5.5.1, 6.1, 7.1.1 and 7.1.3).
func TestCrossingCloses(t *testing.T) {
	const clients = 60
	s := start(t, func(c *gateway.Config) { c.RetryWindow = 0 })
	peers := make([]*peer, clients)
	for i := range peers {
		peers[i] = s.connect()
	}
	var result <-chan error
	for i, p := range peers {
		if i == clients/2 {
			s.eventually("the end of the first half", func(g gateway.GatewayStats) bool { return g.Total.Clients == clients/2 })
			result = s.drain(patience)
		}
		if i == clients*3/4 { // these know of the gateway's close frame
			if _, err := peers[clients-1].in.Peek(1); err != nil {
				t.Fatal(err)
			}
		}
		// Nobody answers what comes behind a close frame.
		_, _ = io.WriteString(p, clientFrame(ws.OpClose, true, "\x0f\xa1")+clientFrame(ws.OpPing, true, "")+
			clientFrame(ws.OpClose, true, "\x0f\xa2"))
	}
	crossed := 0
	for _, p := range peers {
		f := p.frame()
		if f.Header.OpCode == ws.OpText { // goodbye
			f = p.frame()
		}
		switch body := string(f.Payload); {
		case f.Header.OpCode != ws.OpClose || body != "\x0f\xa1" && body != "\x03\xe9draining":
			t.Errorf("received opcode %#x with %q", f.Header.OpCode, body)
		case body != "\x0f\xa1":
			crossed++
		}
		p.ends()
		p.Close()
	}
	if crossed == 0 || crossed == clients {
		t.Errorf("%d of %d closes crossed", crossed, clients)
	}
	if err := s.drained(result); err != nil {
		t.Errorf("draining: %v", err)
	}
}
