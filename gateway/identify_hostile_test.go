package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// TestPatternsAreWork has a client with many patterns and many subscriptions show its token
// again and again. Each time all its subscriptions are compared with all patterns. The loop
// serves others in between, as with other commands that take long.
func TestPatternsAreWork(t *testing.T) {
	const subscriptions, refreshes = 100, 200
	s := start(t, oneShard, identified, func(c *gateway.Config) { c.ClientCommands = gateway.Rate{} })
	var patterns strings.Builder
	for i := range 63 {
		fmt.Fprintf(&patterns, `"no%d.*",`, i)
	}
	token := signed(claims{"sub": "alice", "fleetcast": grants(`{"subscribe":[` + patterns.String() + `"yes.*"]}`)})
	p := s.shows("Authorization: Bearer " + token)
	p.welcomed()
	for i := range subscriptions {
		p.subscribe(fmt.Sprintf("yes.%d", i))
	}
	before := s.stats().Total.ReadCuts
	p.sends(strings.Repeat(clientFrame(ws.OpText, true, fmt.Sprintf(`{"type":"authenticate","id":1,"token":%q}`, token)), refreshes))
	for range refreshes {
		if m := decode[standing](p, p.text()); m.Type != "authenticated" {
			t.Fatalf("answered with %+v", m)
		}
	}
	// By their size alone it would be some 60 in a turn.
	if cuts := s.stats().Total.ReadCuts - before; cuts < refreshes/8 {
		t.Errorf("the client's input was cut %d times", cuts)
	}
}
