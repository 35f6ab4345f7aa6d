package shard

import (
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/backlog"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/settings"
)

// TestCommandRepliesAreBounded hands a client that reads nothing one read's
// worth of commands whose answers are many times as long: the rest of them waits
// until the answers leave, and none is lost.
func TestCommandRepliesAreBounded(t *testing.T) {
	s := newTestShard(t, func(c *settings.Config) { c.ClientCommands = limits.Rate{} })
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	c := &session{shard: s}
	if err := s.Loop.Register(&c.conn, pair[0], c); err != nil {
		t.Fatal(err)
	}
	s.shared.connections.Add(1)
	s.Counters.Connections++
	c.moveTo(sessionOpen)

	// Each of these is refused a thousand times.
	const names, commands = 1000, 15
	text := []byte(`{"type":"subscribe","channels":[""` + strings.Repeat(`,""`, names-1) + `]}`)
	var input []byte
	for range commands {
		input = websocket.AppendMaskedFrame(input, ws.OpText, text, [4]byte{1, 2, 3, 4})
	}
	perCommand := names * 100 // bytes of answers, about
	most := backlog.RepliesHeld + 2*perCommand
	c.Received(input)
	for c.held != nil && c.held.waits == waitTurn { // until the socket is full
		s.resumePostponed()
	}
	if c.held == nil || c.backlog == nil {
		t.Fatal("nothing of the commands waits")
	}
	if c.backlog.OwnBytes > most {
		t.Errorf("%d bytes of answers wait, want at most %d", c.backlog.OwnBytes, most)
	}

	// The loop does not run: what it would report is called here.
	var answers strings.Builder
	buffer := make([]byte, 1<<20)
	for {
		n, err := unix.Read(pair[1], buffer)
		if err == unix.EAGAIN {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		answers.Write(buffer[:n])
		c.Writable()
		s.resumePostponed()
		if c.backlog != nil && c.backlog.OwnBytes > most {
			t.Fatalf("%d bytes of answers wait, want at most %d", c.backlog.OwnBytes, most)
		}
	}
	if c.held != nil || c.backlog != nil {
		t.Error("something still waits")
	}
	if n := strings.Count(answers.String(), `"code":"bad_channel"`); n != names*commands {
		t.Errorf("received %d answers, want %d", n, names*commands)
	}
}
