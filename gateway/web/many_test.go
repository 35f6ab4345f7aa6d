package web_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"fleetcast/gateway"
)

// whole is what testdata/many.mjs writes when all its channels are subscribed.
type whole struct {
	Sent   int // messages to the gateway
	Errors int // calls of onError
	MS     float64
}

// manyChannels has a client subscribe to so many channels, cuts its line once and
// returns what both connections took.
func manyChannels(t *testing.T, channels int, patience time.Duration, set func(*gateway.Config)) (first, again whole) {
	t.Helper()
	g := startGateway(t, set)
	addr := g.ClientAddrs()[0].String()
	line := newProxy(t, addr)
	client := startClient(t, node(t), "many.mjs", "ws://"+line.addr()+gateway.Path, fmt.Sprint(channels))
	for i, w := range []*whole{&first, &again} {
		if i == 1 {
			line.cut()
			line.route(addr)
		}
		text := client.nextWithin(patience)
		if err := json.Unmarshal([]byte(text), w); err != nil {
			t.Fatalf("the client wrote %q: %v", text, err)
		}
	}
	client.stdin.Close()
	return first, again
}

// TestManyChannels has a client with more channels than the gateway's rate allows
// at once: it sends what is allowed, in batches, and nothing is refused.
func TestManyChannels(t *testing.T) {
	t.Parallel() // it waits most of the time
	const channels = 700
	first, again := manyChannels(t, channels, patience, func(c *gateway.Config) {
		c.ClientChannels = channels
		c.ClientCommands = gateway.Rate{PerSecond: 1000, Burst: 200}
	})
	for name, w := range map[string]whole{"at first": first, "after the cut": again} {
		t.Logf("%s: %d messages, %d errors, %v ms", name, w.Sent, w.Errors, w.MS)
		if w.Sent > 20 || w.Errors > 0 {
			t.Errorf("%s: %d messages were sent and onError was called %d times, want at most 20 and none", name, w.Sent, w.Errors)
		}
	}
}
