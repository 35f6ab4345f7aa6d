package loadtest_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/codec/websocket"
	"fleetcast/loadtest"

	"github.com/gobwas/ws"
)

// noted checks that one of the notes says what.
func noted(t *testing.T, r *loadtest.Result, what string) {
	t.Helper()
	if !strings.Contains(strings.Join(r.Detail.Notes, "\n"), what) {
		t.Errorf("no note says %q: %q", what, r.Detail.Notes)
	}
}

func TestWrongOffset(t *testing.T) {
	t.Parallel()
	shift := func(offset uint64, p []byte) [][]byte {
		right, wrong := fmt.Sprintf(`"offset":%d`, offset+offsetBefore), fmt.Sprintf(`"offset":%d`, offset+offsetBefore+1)
		return [][]byte{bytes.Replace(p, []byte(right), []byte(wrong), 1)}
	}
	all := run(t, &faultyServer{fault: every(func(_ *subscriber, offset uint64, p []byte) [][]byte {
		return shift(offset, p)
	})}, nil)
	check(t, all, counts{clients: 10, delivered: 2030 - 40, corrupted: 40})
	noted(t, all, "with offset 90; got it with offset 91")

	one := run(t, &faultyServer{fault: func(s *subscriber, offset uint64, p []byte) [][]byte {
		if s.number == 3 && offset == 100 {
			return shift(offset, p)
		}
		return [][]byte{p}
	}}, nil)
	check(t, one, counts{clients: 10, delivered: 2029, corrupted: 1})
}

// otherChannel renames the channel of an event on the first of two channels to
// the second.
func otherChannel(s *subscriber, p []byte) []byte {
	second := strings.TrimSuffix(s.channel, "0") + "1"
	return bytes.Replace(p, []byte(s.channel), []byte(second), 1)
}

func TestEventOfAnotherChannel(t *testing.T) {
	t.Parallel()
	two := func(f *loadtest.Fanout) { f.Channels, f.Events = 2, 200 }
	odd := func(f fault) fault {
		return func(s *subscriber, offset uint64, p []byte) [][]byte {
			if strings.HasSuffix(s.channel, "-0") && offset%20 == 10 {
				return f(s, offset, p)
			}
			return [][]byte{p}
		}
	}
	// 100 events on each channel, of which 5 of the first are touched, for 5 subscribers.
	cases := map[string]struct {
		fault fault
		want  counts
	}{
		"besides": {func(s *subscriber, _ uint64, p []byte) [][]byte { return [][]byte{p, otherChannel(s, p)} },
			counts{clients: 10, delivered: 1000, unexpected: 25}},
		"instead": {func(s *subscriber, _ uint64, p []byte) [][]byte { return [][]byte{otherChannel(s, p)} },
			counts{clients: 10, delivered: 975, lost: 25, unexpected: 25}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, &faultyServer{fault: odd(c.fault)}, two)
			check(t, r, c.want)
			noted(t, r, `unexpected: client `)
			noted(t, r, `got {"type":"event"`)
		})
	}
}

// TestWaysToHangUp proves RFC 6455, 7.2.1.
func TestWaysToHangUp(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		hangUp func(*net.TCPConn)
		note   string
	}{
		"close 1013": {func(c *net.TCPConn) {
			c.Write(websocket.AppendClose(nil, ws.StatusCode(1013), "slow"))
			c.CloseWrite()
		}, `the server closed the connection: 1013 "slow"`},
		"FIN":   {func(c *net.TCPConn) { c.CloseWrite() }, "the server closed the connection"},
		"reset": {func(c *net.TCPConn) { c.SetLinger(0); c.Close() }, "reset"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, &faultyServer{fault: func(s *subscriber, offset uint64, p []byte) [][]byte {
				if s.number != 3 || offset < 101 {
					return [][]byte{p}
				}
				if offset == 101 {
					c.hangUp(s.conn.(*net.TCPConn))
				}
				return nil
			}}, func(f *loadtest.Fanout) { f.Window = 1 })
			check(t, r, counts{clients: 10, delivered: 2030 - 103, lost: 103, disconnected: 1})
			noted(t, r, c.note)
		})
	}
}

func TestLateSubscriptions(t *testing.T) {
	t.Parallel()
	const late = 150 * time.Millisecond
	r := run(t, &faultyServer{fault: faithful, late: late}, neverStalled)
	check(t, r, counts{clients: 10, delivered: 2030})
	if r.Handshake.P50 < float64(late.Milliseconds()) {
		t.Errorf("handshakes %v", r.Handshake)
	}
}

// TestConnectRefused proves RFC 6455, 4.1.
func TestConnectRefused(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	s := startFaulty(t, &faultyServer{fault: faithful, connected: func(conn net.Conn) {
		if connections.Add(1)%3 == 0 {
			conn.Close()
		}
	}})
	r := scenario(t, loadtest.RunConnect, loadtest.Connect{Common: common(s), Clients: 30})
	if r.Clients != 20 || r.Detail.ClientsWanted != 30 || r.Detail.Refused != 10 || r.Detail.Connected != 20 {
		t.Errorf("%d clients, %+v", r.Clients, r.Detail)
	}
	if f := r.Faults(); len(f) != 1 || f[0].Name != "missing_clients" || f[0].Count != 10 {
		t.Errorf("faults %+v", f)
	}
}

// An event that is published after the answer to a subscription belongs to the
// client, whether it is new or has returned.
func TestChurnLosesFirstEvent(t *testing.T) {
	t.Parallel()
	const clients, churners, losers = 5, 5, 4
	dropped := 0 // under the server's lock
	s := startFaulty(t, &faultyServer{fault: func(s *subscriber, _ uint64, p []byte) [][]byte {
		returned := s.number - clients - churners
		if returned >= 0 && returned < losers && s.held == nil {
			s.held = []byte("seen")
			dropped++
			return nil
		}
		return [][]byte{p}
	}})
	// Each returns for half a second, in which 50 events are published.
	r := scenario(t, loadtest.RunChurn, loadtest.Churn{
		Common: common(s), Traffic: loadtest.Traffic{Rate: 100},
		Clients: clients, Churners: churners, Churn: 10, Duration: 800 * time.Millisecond,
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	check(t, r, counts{clients: clients + churners, delivered: r.Delivered, lost: int64(dropped)})
	// On a busy machine fewer return in that time.
	if dropped == 0 || dropped > losers || r.Delivered <= clients*r.Events {
		t.Errorf("dropped %d, delivered %d", dropped, r.Delivered)
	}
}

// What the witness and the fleet lose before the storm is lost, although the
// fleet goes away; what the fleet misses while it is away is not.
func TestStormLoses(t *testing.T) {
	t.Parallel()
	s := startFaulty(t, &faultyServer{fault: func(s *subscriber, offset uint64, p []byte) [][]byte {
		if offset == 5 && s.number < 2 {
			return nil
		}
		return [][]byte{p}
	}})
	r := scenario(t, loadtest.RunStorm, loadtest.Storm{
		Common: common(s), Traffic: loadtest.Traffic{Rate: 100}, Clients: 1, Witnesses: 1, Calm: 250 * time.Millisecond,
	})
	check(t, r, counts{clients: 2, delivered: r.Delivered, lost: 2})
	if figure(t, r, "back") != 1 {
		t.Errorf("figures %+v", r.Detail.Figures)
	}
}
