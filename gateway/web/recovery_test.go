package web_test

import (
	"fmt"
	"strings"
	"testing"

	"fleetcast/gateway"
	"fleetcast/gateway/publisher"
)

// publishEach publishes n events to each of the channels, with the number of the event in
// their data, beginning behind that many, and padding to make them longer.
func publishEach(t *testing.T, g *gateway.Gateway, channels, behind, n, padding int) {
	t.Helper()
	p, err := publisher.Dial(t.Context(), g.PublishAddrs()[0].String())
	if err != nil {
		t.Fatalf("connecting to publish: %v", err)
	}
	defer p.Close()
	for i := behind + 1; i <= behind+n; i++ {
		for c := range channels {
			data := fmt.Sprintf(`{"n":%d,"padding":"%s"}`, i, strings.Repeat("x", padding))
			if err := p.Send(t.Context(), fmt.Sprint("room:", c), []byte(data)); err != nil {
				t.Fatalf("publishing %s: %v", data, err)
			}
		}
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatalf("publishing: %v", err)
	}
}

// recovering starts a client of testdata/recovery.mjs whose line to the gateway can be cut.
func recovering(t *testing.T, g *gateway.Gateway, channels int) (*nodeClient, *proxy) {
	t.Helper()
	line := newProxy(t, g.ClientAddrs()[0].String())
	client := startClient(t, node(t), "recovery.mjs", "ws://"+line.addr()+gateway.Path, fmt.Sprint(channels))
	client.expect("subscribed")
	return client, line
}

// TestRecovery takes a client with many channels through cut connections: it misses nothing of what
// the gateway keeps, in few commands, and is told exactly what it does not keep.
func TestRecovery(t *testing.T) {
	t.Parallel() // it waits most of the time
	const channels = 40
	g := startGateway(t)
	client, line := recovering(t, g, channels)
	publishEach(t, g, channels, 0, 10, 0)
	client.write("10")
	client.expect(fmt.Sprintf(`{"events":%d,"recovered":0,"lost":0,"wrong":0,"fewCommands":true}`, 10*channels))
	for _, missed := range []struct {
		name                   string
		behind, events, padded int
		lost                   int
	}{
		{"a few", 10, 50, 0, 0},
		{"nothing", 60, 0, 0, 0},
		{"as much as is kept, in long events", 60, 100, 1000, 0},
		{"more than is kept", 160, 130, 0, 30},
	} {
		line.hold()
		awaitSubscribers(t, g, 0)
		publishEach(t, g, channels, missed.behind, missed.events, missed.padded)
		line.route(g.ClientAddrs()[0].String())
		client.expect("subscribed")
		client.write(fmt.Sprint(missed.behind + missed.events))
		got := missed.events - missed.lost
		want := fmt.Sprintf(`{"events":%d,"recovered":%d,"lost":%d,"wrong":0,"fewCommands":true}`, got*channels, got*channels, missed.lost*channels)
		if line := client.next(); line != want {
			t.Errorf("%s: the client wrote %s, want %s", missed.name, line, want)
		}
	}
	publishEach(t, g, channels, 290, 1, 0)
	client.write("291")
	client.expect(fmt.Sprintf(`{"events":%d,"recovered":0,"lost":0,"wrong":0,"fewCommands":true}`, channels))

	client.write("late")
	client.expect("late 272-291 in order recovered, 262-291 in order recovered, 291-291 in order recovered")
	client.write("history")
	client.expect("history 40,40,20 since 7 latest true")
	client.write("publish")
	client.expect("published false true true 2 conflict 2")
	client.end()
}

// TestWithoutHistory: where no events are kept, all that was missed is a gap.
func TestWithoutHistory(t *testing.T) {
	t.Parallel() // it waits most of the time
	const channels = 3
	g := startGateway(t, func(c *gateway.Config) {
		c.HistoryRules = []gateway.HistoryRule{{Pattern: "**"}}
	})
	client, line := recovering(t, g, channels)
	publishEach(t, g, channels, 0, 5, 0)
	client.write("5")
	client.expect(fmt.Sprintf(`{"events":%d,"recovered":0,"lost":0,"wrong":0,"fewCommands":true}`, 5*channels))
	line.hold()
	awaitSubscribers(t, g, 0)
	publishEach(t, g, channels, 5, 7, 0)
	line.route(g.ClientAddrs()[0].String())
	client.expect("subscribed")
	client.write("12")
	client.expect(fmt.Sprintf(`{"events":0,"recovered":0,"lost":%d,"wrong":0,"fewCommands":true}`, 7*channels))
	publishEach(t, g, channels, 12, 1, 0)
	client.write("13")
	client.expect(fmt.Sprintf(`{"events":%d,"recovered":0,"lost":0,"wrong":0,"fewCommands":true}`, channels))
	client.end()
}
