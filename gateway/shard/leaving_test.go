package shard

import (
	"slices"
	"testing"
	"time"

	"fleetcast/gateway/stream"
	"fleetcast/gateway/stream/streamtest"
	"fleetcast/poller"
)

// TestSlotsAreSpread looks at the slots of all shards together: closes lie evenly
// in their window, returns (the close and the pause behind it) in both windows.
func TestSlotsAreSpread(t *testing.T) {
	for _, test := range []struct {
		shards, clients     int // of each shard
		window, retryWindow time.Duration
	}{
		{1, 1, time.Second, time.Second},
		{1, 10, 5 * time.Second, 10 * time.Second},
		{4, 250, 5 * time.Second, 10 * time.Second},
		{3, 100, 0, 10 * time.Second},
		{2, 100, 5 * time.Second, 0},
		{2, 100, 0, 0},
	} {
		const began = time.Minute
		var closes, returns []time.Duration
		for shard := range test.shards {
			l := leaving{
				LeavePlan: LeavePlan{Began: began, Window: test.window, RetryWindow: test.retryWindow},
				offset:    float64(shard) / float64(test.shards),
				clients:   test.clients,
			}
			for ; l.told < l.clients; l.told++ {
				closes = append(closes, l.due()-began)
				returns = append(returns, l.due()-began+l.retryAfter())
			}
		}
		even := func(what string, times []time.Duration, window time.Duration) {
			slices.Sort(times)
			for i, at := range times {
				if want := window * time.Duration(i) / time.Duration(len(times)); (at - want).Abs() > time.Microsecond {
					t.Errorf("%+v: %s %d of %d is at %v, want %v", test, what, i, len(times), at, want)
					return
				}
			}
		}
		even("close", closes, test.window)
		even("return", returns, test.window+test.retryWindow)
	}
}

// TestSendingAwayIsCut: however many are due, a turn sends away what fits into its
// slice, and who is not due waits.
func TestSendingAwayIsCut(t *testing.T) {
	const clients = 50
	for _, test := range []struct {
		name          string
		slice, window time.Duration
		told          []int // after each turn
		busy          bool  // after the last of these
	}{
		{"no time", 0, 0, []int{1, 2, 3}, true},
		{"all the time", time.Hour, 0, []int{clients}, false},
		{"nobody else is due", time.Hour, clients * time.Hour, []int{1, 1}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newTestShard(t)
			for range clients {
				newTestSession(t, s)
			}
			s.slice = test.slice
			s.StartDrain(func() {})
			for s.drain != drainReady {
				s.continueDrain()
			}
			s.StartLeaving(LeavePlan{Began: poller.Now(), Window: test.window}, func() {})
			busy := false
			for i, told := range test.told {
				busy = s.continueDrain()
				if s.leaving.told != told || s.Counters.Clients != int64(clients-told) {
					t.Fatalf("turn %d has told %d clients, and %d are left, want %d told", i, s.leaving.told, s.Counters.Clients, told)
				}
			}
			if busy != test.busy {
				t.Errorf("busy is %v", busy)
			}
		})
	}
}

// TestSendingAwayWaitsForFanOuts: no client is closed before an event that was
// accepted before.
func TestSendingAwayWaitsForFanOuts(t *testing.T) {
	s := newTestShard(t)
	newTestSession(t, s)
	s.StartDrain(func() {})
	for s.drain != drainReady {
		s.continueDrain()
	}
	s.StartLeaving(LeavePlan{}, func() {})
	s.parked = 1
	if busy := s.continueDrain(); busy || s.leaving.told != 0 {
		t.Errorf("behind a frame that is being compressed, %d clients are sent away, busy %v", s.leaving.told, busy)
	}
	s.parked = 0
	if s.continueDrain(); s.leaving.told != 1 {
		t.Error("the client is not sent away")
	}
}

// TestCutWhileLeaving cuts a backlog, for want of memory, of a client that was to
// get it all before its end.
func TestCutWhileLeaving(t *testing.T) {
	s := newTestShard(t)
	c := newTestSession(t, s)
	c.lag()
	st := streamtest.New("news")
	for range 10 {
		c.queue([]*stream.Event{st.Next("", `"data"`)}, stream.FormatPlain, 0)
	}
	c.finishBehind(Draining, 1001, "draining")
	memory := &s.shared.Backlogs
	if c.state != sessionClosing || memory.Total() == 0 {
		t.Fatalf("the session is in state %d, %d bytes are held", c.state, memory.Total())
	}
	memory.Limit.Store(1)
	s.relieve()
	if c.conn.Open() || c.reason != BacklogsFull || memory.Total() != 0 || s.ledger.Sizes.Largest() != 0 {
		t.Errorf("open: %v, the reason is %q, %d bytes are held", c.conn.Open(), DisconnectNames[c.reason], memory.Total())
	}
}
