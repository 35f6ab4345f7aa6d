package gateway_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// endsAt is a token of alice that ends at a moment, with a claim of what she may do.
func endsAt(end time.Time, may string) string {
	return signed(claims{"sub": "alice", "exp": end.Unix(), "fleetcast": grants(may)})
}

// renews shows tokens one after the other, at once, and reads the answers.
func (p *peer) renews(tokens ...string) {
	p.Helper()
	var frames string
	for _, token := range tokens {
		frames += clientFrame(ws.OpText, true, fmt.Sprintf(`{"type":"authenticate","id":1,"token":%q}`, token))
	}
	p.sends(frames)
	for range tokens {
		if a := decode[standing](p, p.text()); a.Type != "authenticated" || a.ID != 1 || a.User != "alice" || a.Expires < 1 {
			p.Fatalf("answered with %+v", a)
		}
	}
}

// sweeps waits until the loop has looked at the client so many times from now on.
func (p *peer) sweeps(times int) {
	p.Helper()
	p.says(ping)
	p.wants(pong) // behind the pings until now
	for range times {
		if f := p.frame(); f.Header.OpCode != ws.OpPing {
			p.Fatalf("received opcode %#x with %q, want pings", f.Header.OpCode, f.Payload)
		}
	}
}

// TestTokensByTheRealClock has three clients with tokens that end soon, by the real clock. One
// does nothing about it. One has shown another token, and one a token that grants less, in the
// same moment as the first, so that a busy machine does not come between the two.
func TestTokensByTheRealClock(t *testing.T) {
	t.Parallel() // it waits most of the time
	const interval, slack, much, less = 200 * time.Millisecond, patience / 2, `{"subscribe":["chat.*","news"]}`, `{"subscribe":["chat.*"]}`
	s := start(t, identified, func(c *gateway.Config) { c.PingInterval = interval })
	hour := time.Now().Add(time.Hour)
	refreshed, narrowed := s.shows("Authorization: Bearer "+endsAt(hour, much)), s.shows("Authorization: Bearer "+endsAt(hour, much))
	for _, p := range []*peer{refreshed, narrowed} {
		p.welcomed()
		p.subscribe("news")
		p.subscribe("chat.a")
	}

	soon := time.Unix(time.Now().Unix()+2, 0)
	idle := s.shows("Authorization: Bearer " + endsAt(soon, much))
	if w := idle.welcomed(); w.User != "alice" || w.Expires < 1 || w.Expires > 2000 {
		t.Errorf("the welcome is %+v", w)
	}
	refreshed.renews(endsAt(soon, much), endsAt(hour, much))
	narrowed.renews(endsAt(soon, much), endsAt(hour, less))
	if m := decode[standing](narrowed, narrowed.text()); m.Type != "unsubscribed" || m.Channel != "news" || m.Code != "permission_denied" {
		t.Errorf("a client whose token grants less is told %+v", m)
	}

	code, reason := idle.closed()
	if ended := time.Now(); ended.Before(soon) || ended.After(soon.Add(interval+slack)) {
		t.Errorf("a token ends at %v, and its client is closed at %v", soon, ended)
	}
	if code != 4401 || reason != "token_expired" {
		t.Errorf("closed with %d %q", code, reason)
	}
	for _, p := range []*peer{refreshed, narrowed} {
		p.sweeps(2)
	}
	s.publish("news", "1")
	s.publish("chat.a", "2")
	for p, channels := range map[*peer][]string{refreshed: {"news", "chat.a"}, narrowed: {"chat.a"}} {
		for _, channel := range channels {
			if m := decode[message](p, p.text()); m.Type != "event" || m.Channel != channel {
				t.Errorf("received %+v, want an event of %s", m, channel)
			}
		}
	}
	idle.Close()
	s.eventually("the end of one", func(g gateway.GatewayStats) bool {
		return g.Total.Disconnects["token_expired"] == 1 && g.Total.Clients == 2
	})
}
