package shard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/settings"
)

// TestTurnWork has a client send much work of each kind in one read: it is
// handled a part at a time, and all of it in the end.
func TestTurnWork(t *testing.T) {
	names := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`"%d"`, i))
		}
		return `,"channels":[` + strings.Join(list, ",") + `]}`
	}
	for _, test := range []struct {
		name    string
		op      ws.OpCode
		payload string
		count   int
		most    int // frames in a turn
	}{
		{"empty fragments", ws.OpContinuation, "", 10_000, 4_100},
		{"fragments of a byte", ws.OpContinuation, "x", 10_000, 4_100},
		{"pongs", ws.OpPong, "", 10_000, 4_100},
		{"pings", ws.OpPing, "", 10_000, 4_100},
		{"nothing", ws.OpText, "", 9_000, 1_025},
		{"not JSON", ws.OpText, "x", 9_000, 1_025},
		{"binary", ws.OpBinary, "x", 9_000, 1_025},
		{"channels, one by one", ws.OpText, `{"type":"unsubscribe","channel":"a"}`, 1_000, 342},
		{"many channels", ws.OpText, `{"type":"subscribe"` + names(128), 60, 5},
		{"as many as may be", ws.OpText, `{"type":"unsubscribe"` + names(1024), 9, 1},
		{"publications", ws.OpText, `{"type":"publish","channel":"a","data":1}`, 1_000, 342},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newTestShard(t, func(c *settings.Config) {
				c.ClientCommands, c.ClientPublishes, c.ClientPublish = limits.Rate{}, limits.Rate{}, rules.Patterns{"**"}
			})
			c, read := newReadSession(t, s)
			defer read()
			var input []byte
			if test.op == ws.OpContinuation {
				input = websocket.AppendMaskedFragment(input, ws.OpBinary, false, nil, [4]byte{1, 2, 3, 4})
			}
			for range test.count {
				input = websocket.AppendMaskedFragment(input, test.op, test.op != ws.OpContinuation, []byte(test.payload), [4]byte{1, 2, 3, 4})
			}
			c.Received(input)
			turns := 1
			for c.held != nil || c.backlog != nil {
				read()
				if c.backlog != nil {
					c.Writable()
				}
				if c.held != nil && c.held.waits == waitTurn {
					turns++
					s.resumePostponed()
				}
			}
			if least := test.count / test.most; turns < least {
				t.Errorf("handled in %d turns, want %d at least", turns, least)
			}
			if s.Counters.ReadCuts != uint64(turns-1) {
				t.Errorf("%d cuts were counted in %d turns", s.Counters.ReadCuts, turns)
			}
			if handled := s.Counters.ClientMessages; (test.op == ws.OpText || test.op == ws.OpBinary) && handled != uint64(test.count) {
				t.Errorf("%d messages were handled, want %d", handled, test.count)
			}
			if s.postponed.Len() != 0 {
				t.Error("something is still postponed")
			}
		})
	}
}

// TestTurnWorkOfRules has names for which a thousand rules are looked through: they
// cost a turn more than others.
func TestTurnWorkOfRules(t *testing.T) {
	anybody, nobody := rules.Anyone, rules.Nobody
	for command, access := range map[string]rules.Entry{"subscribe": {Match: "**", Subscribe: &nobody}, "publish": {Match: "**", Publish: &anybody}} {
		t.Run(command, func(t *testing.T) {
			s := newTestShard(t, func(c *settings.Config) {
				c.ClientCommands, c.ClientPublishes = limits.Rate{}, limits.Rate{}
				for i := range 999 {
					c.Channels = append(c.Channels, rules.Entry{Match: fmt.Sprintf("shop.%d.**", i), Subscribe: &anybody})
				}
				c.Channels = append(c.Channels, access)
			})
			c, read := newReadSession(t, s)
			defer read()
			var input []byte
			const count = 330
			for i := range count {
				input = websocket.AppendMaskedFrame(input, ws.OpText, fmt.Appendf(nil, `{"type":%q,"channel":"shop.x%d","data":1}`, command, i), [4]byte{1, 2, 3, 4})
			}
			turns := 1
			for c.Received(input); c.held != nil || c.backlog != nil; {
				read()
				if c.backlog != nil {
					c.Writable()
				}
				if c.held != nil && c.held.waits == waitTurn {
					turns++
					s.resumePostponed()
				}
			}
			if least := count / 33; turns < least {
				t.Errorf("handled in %d turns, want %d at least", turns, least)
			}
		})
	}
}

// TestTurnWorkOfGrants has a command with many names, each of which takes long to match with the
// patterns of the client's grants: it is handled in parts, and all of it in the end.
func TestTurnWorkOfGrants(t *testing.T) {
	var patterns []string
	for i := range 10 {
		patterns = append(patterns, fmt.Sprintf("%q", strings.Repeat("*a", 100)+fmt.Sprint("b", i)))
	}
	list := strings.Join(patterns, ",")
	grants, err := identity.ParseGrants([]byte(`{"subscribe":[` + list + `],"publish":[` + list + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	tokens := rules.Tokens
	for test, command := range map[string]struct{ text, code string }{
		"subscribe, one command": {`{"type":"subscribe","channels":[%s]}`, "permission_denied"},
		"subscribe, limited":     {`{"type":"subscribe","channels":[%s]}`, "rate_limited"},
		"publish, each":          {`{"type":"publish","data":1,"channel":%s}`, "permission_denied"},
	} {
		t.Run(test, func(t *testing.T) {
			const count, limited = 200, 150
			s := newTestShard(t, func(c *settings.Config) {
				c.ClientCommands, c.ClientPublishes = limits.Rate{}, limits.Rate{}
				if command.code == "rate_limited" {
					c.ClientCommands = limits.Rate{PerSecond: 0.001, Burst: limited}
				}
				c.Channels = []rules.Entry{{Match: "**", Subscribe: &tokens, Publish: &tokens}}
			})
			c, read := newReadSession(t, s)
			defer read()
			c.source = &source{identity: &identity.Identity{User: "alice", Grants: grants}}
			var names []string
			for i := range count {
				names = append(names, fmt.Sprintf("%q", fmt.Sprint(strings.Repeat("a", 240), i)))
			}
			var input []byte
			if strings.Contains(command.text, "channels") {
				names = []string{strings.Join(names, ",")}
			}
			for _, name := range names {
				input = websocket.AppendMaskedFrame(input, ws.OpText, fmt.Appendf(nil, command.text, name), [4]byte{1, 2, 3, 4})
			}
			input = websocket.AppendMaskedFrame(input, ws.OpText, []byte(`{"type":"ping"}`), [4]byte{1, 2, 3, 4})
			turns := 1
			for c.Received(input); c.held != nil || c.backlog != nil; {
				if read(); c.backlog != nil {
					c.Writable()
				}
				if c.held != nil && c.held.waits == waitRate {
					break
				}
				if c.held != nil && c.held.waits == waitTurn {
					if c.heldInputBytes() == 0 {
						t.Fatal("input that is held is not counted")
					}
					turns++
					s.resumePostponed()
				}
			}
			if turns < 25 || s.Counters.ReadCuts != uint64(turns-1) {
				t.Errorf("handled in %d turns, with %d cuts", turns, s.Counters.ReadCuts)
			}
			denied, refused := s.Counters.CommandErrors["permission_denied"], s.Counters.CommandErrors["rate_limited"]
			if command.code == "permission_denied" && (denied != count || refused != 0) ||
				command.code == "rate_limited" && (denied != limited || refused < count-limited) {
				t.Errorf("%d were denied, %d were too many", denied, refused)
			}
		})
	}
}

// Clients whose input waits do not all go on in the same turn.
func TestPostponedInTurns(t *testing.T) {
	s := newTestShard(t, func(c *settings.Config) { c.ClientCommands = limits.Rate{} })
	var input []byte
	for range 5_000 {
		input = websocket.AppendMaskedFrame(input, ws.OpText, []byte("x"), [4]byte{1, 2, 3, 4})
	}
	const clients = 100
	reads := make([]func(), clients)
	for i := range reads {
		c, read := newReadSession(t, s)
		reads[i] = read
		c.Received(append([]byte(nil), input...))
		read()
	}
	if n := s.postponed.Len(); n != clients {
		t.Fatalf("%d clients were postponed", n)
	}
	before := s.Counters.ClientMessages
	s.resumePostponed()
	// Each takes some hundred microseconds, even on the fastest machine.
	if handled := s.Counters.ClientMessages - before; handled == 0 || handled > clients/2*1_025 {
		t.Errorf("%d messages were handled at once", handled)
	}
	turns := 1
	for ; s.postponed.Len() > 0; turns++ {
		s.resumePostponed()
		for _, read := range reads {
			read()
		}
	}
	if want := uint64(clients * 5_000); s.Counters.ClientMessages != want {
		t.Errorf("%d messages were handled in %d turns, want %d", s.Counters.ClientMessages, turns, want)
	}
}

// newReadSession returns a session, and a function that reads what was sent to
// its client.
func newReadSession(tb testing.TB, s *Shard) (c *session, read func()) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	_ = unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<20)
	tb.Cleanup(func() { unix.Close(pair[1]) })
	c = &session{shard: s}
	if err := s.Loop.Register(&c.conn, pair[0], c); err != nil {
		tb.Fatal(err)
	}
	s.shared.connections.Add(1)
	s.Counters.Connections++
	c.moveTo(sessionOpen)
	buffer := make([]byte, 1<<20)
	return c, func() {
		for {
			if n, _ := unix.Read(pair[1], buffer); n <= 0 {
				return
			}
		}
	}
}
