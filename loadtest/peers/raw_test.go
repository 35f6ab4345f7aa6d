package peers

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
)

// TestRaw checks the protocol that all servers but centrifuge speak.
func TestRaw(t *testing.T) {
	t.Run("gorilla", func(t *testing.T) { testRaw(t, filepath.Join(bin, "gorilla")) })
	t.Run("gws", func(t *testing.T) { testRaw(t, filepath.Join(bin, "gws")) })
	t.Run("netpoll", func(t *testing.T) { testRaw(t, filepath.Join(bin, "netpoll")) })
	t.Run("floor", func(t *testing.T) { testRaw(t, buildFloor(t)) })
	t.Run("floor coalesce", func(t *testing.T) { testRaw(t, buildFloor(t), "coalesce") })
}

func testRaw(t *testing.T, binary string, arguments ...string) {
	t.Parallel()
	address := start(t, binary, arguments...)
	t.Run("events reach all in order", func(t *testing.T) { testOrder(t, address) })
	t.Run("other messages are ignored", func(t *testing.T) { testIgnored(t, address) })
	t.Run("who leaves is forgotten", func(t *testing.T) { testLeaving(t, address) })
	t.Run("bytes may come one by one", func(t *testing.T) { testByBytes(t, address) })
}

// dialAll connects clients and returns once events reach each.
func dialAll(t *testing.T, address string, number int) (clients []client) {
	t.Helper()
	for i := range number {
		clients = append(clients, dial(t, fmt.Sprintf("ws://%s/any/path", address)))
		// A server may answer the handshake before it counts the client among
		// those that events go to. A client that has its own event back is there.
		mark := fmt.Sprintf("Pclient %d", i)
		clients[i].send(websocket.MessageText, mark)
		for _, c := range clients {
			c.expect(mark)
		}
	}
	return clients
}

func testOrder(t *testing.T, address string) {
	clients := dialAll(t, address, 3)
	messages := []string{"P", "P{}", "P" + strings.Repeat("x", 124), "P" + strings.Repeat("x", 125),
		"P" + strings.Repeat("y", 60_000), "Pälä"}
	for i := range 200 {
		messages = append(messages, fmt.Sprintf("P%d", i))
	}
	for _, message := range messages {
		clients[1].send(websocket.MessageText, message)
	}
	for _, c := range clients {
		for _, message := range messages {
			c.expect(message)
		}
	}
}

func testIgnored(t *testing.T, address string) {
	clients := dialAll(t, address, 3)
	clients[0].send(websocket.MessageText, "subscribe news")
	clients[0].send(websocket.MessageText, "")
	clients[0].send(websocket.MessageText, "p")
	clients[0].send(websocket.MessageBinary, "Pbinary")
	clients[0].send(websocket.MessageText, "Pthe only event")
	for _, c := range clients {
		c.expect("Pthe only event")
	}
}

func testLeaving(t *testing.T, address string) {
	clients := dialAll(t, address, 4)
	clients[0].conn.CloseNow()
	if err := clients[2].conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("taking leave: %v", err)
	}
	for i := range 50 {
		clients[1].send(websocket.MessageText, fmt.Sprintf("P%d", i))
	}
	for _, c := range []client{clients[1], clients[3]} {
		for i := range 50 {
			c.expect(fmt.Sprintf("P%d", i))
		}
	}
}

func testByBytes(t *testing.T, address string) {
	clients := dialAll(t, address, 2)
	var frames []byte
	for _, message := range []string{"ignored", "Pshort", "P" + strings.Repeat("z", 200)} {
		frame := ws.MaskFrame(ws.NewTextFrame([]byte(message)))
		frames = append(frames, ws.MustCompileFrame(frame)...)
	}
	sendByBytes(t, address, frames)
	for _, c := range clients {
		c.expect("Pshort")
		c.expect("P" + strings.Repeat("z", 200))
	}
}
