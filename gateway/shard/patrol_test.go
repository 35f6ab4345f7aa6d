package shard

import (
	"testing"
	"time"

	"fleetcast/gateway/backlog"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
	"fleetcast/gateway/stream/streamtest"
)

// TestPatrolLeavesHoldUpsOut has time pass for a shard: what counts is the time in which
// it ticked.
func TestPatrolLeavesHoldUpsOut(t *testing.T) {
	p := patrol{ledger: new(backlog.Ledger)}
	now := 7 * time.Hour // it had no clients before
	p.tick(now, 0, time.Minute)
	if p.ledger.Attended > longestStep {
		t.Errorf("%v counted before the first tick", p.ledger.Attended)
	}
	for range 10 {
		now += settings.BeatLength
		p.tick(now, 0, time.Minute)
	}
	before := p.ledger.Attended
	if before < time.Second {
		t.Errorf("%v counted of a second", before)
	}
	now += 20 * time.Second // the process was stopped
	if p.tick(now, 0, time.Minute); p.ledger.Attended > before+longestStep {
		t.Errorf("a hold-up of 20s counted as %v", p.ledger.Attended-before)
	}
}

// TestPatrolSeesEveryLaggard has more clients lag than a turn looks at, and some of
// them cut: each is met in one lap.
func TestPatrolSeesEveryLaggard(t *testing.T) {
	s := newTestShard(t, func(c *settings.Config) { c.SlowAfter = settings.BeatLength })
	const clients = 3 * cutsPerTurn
	st := streamtest.New("news")
	var sessions []*session
	for range clients {
		c := newTestSession(t, s)
		c.lag()
		c.queue([]*stream.Event{st.Next("", "1")}, stream.FormatPlain, 0)
		sessions = append(sessions, c)
	}
	s.patrol.tick(time.Hour, clients, time.Minute) // all wait no longer than they may
	s.ledger.Attended += 2 * settings.BeatLength
	s.patrol.unseen = len(s.lagging)
	turns := 1
	for ; s.findSlow(); turns++ {
		sessions[turns].conn.Close(errClientClosed) // one goes by itself
	}
	for i, c := range sessions {
		if c.state == sessionOpen && c.conn.Open() {
			t.Errorf("client %d was not met", i)
		}
	}
	if turns < clients/cutsPerTurn {
		t.Errorf("%d clients were cut in %d turns, want at most %d in one", clients, turns, cutsPerTurn)
	}
}

// TestCutsTakeNoLongerThanASlice has many clients to cut at once, for want of time and
// of memory. A cut that takes a slice by itself, as that of a client for which very
// many events wait, is the only one of its turn.
func TestCutsTakeNoLongerThanASlice(t *testing.T) {
	tests := []struct {
		name string
		set  func(*settings.Config)
		cut  func(*Shard) (busy bool)
	}{
		{"slow", func(c *settings.Config) { c.SlowAfter = settings.BeatLength }, (*Shard).findSlow},
		{"no memory", func(c *settings.Config) { c.BacklogBytes, c.BacklogMemory = 1, 1 }, (*Shard).relieve},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newTestShard(t, test.set)
			s.slice = 0
			const clients = 5
			st := streamtest.New("news")
			var sessions []*session
			for range clients {
				c := newTestSession(t, s)
				c.lag()
				c.queue([]*stream.Event{st.Next("", "1")}, stream.FormatPlain, 0)
				sessions = append(sessions, c)
			}
			s.ledger.Attended += 3 * settings.BeatLength
			s.patrol.unseen = len(s.lagging)
			for turn := 1; turn <= clients; turn++ {
				test.cut(s)
				cut := 0
				for _, c := range sessions {
					if c.state != sessionOpen || !c.conn.Open() {
						cut++
					}
				}
				if cut != turn {
					t.Fatalf("%d clients were cut in %d turns, want one in each", cut, turn)
				}
			}
		})
	}
}
