//go:build invariants

package shard

import (
	"net/netip"
	"strings"
	"testing"

	"fleetcast/gateway/backlog"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/stream"
)

// scene is a shard with something of everything.
type scene struct {
	*Shard
	first, second *session // both subscribe to news; the second lags
	news          *channel
}

func newScene(t *testing.T) *scene {
	s := newTestShard(t)
	sc := &scene{Shard: s, first: newTestSession(t, s), second: newTestSession(t, s)}
	for _, c := range []*session{sc.first, sc.second} {
		c.subscribe([]byte("other"), noID, nil, nil)
		c.subscribe([]byte("news"), noID, nil, nil)
		s.publishing[c] = &limits.Account{Credits: s.shared.Credits, Starved: &s.Starved}
	}
	s.replies = s.replies[:0]
	sc.news = s.channels["news"]
	sc.second.lag()
	sc.second.backlog.PushOwn(backlog.OwnReply, []byte("reply"), 0)
	account := &limits.Account{Credits: s.shared.Credits, Starved: &s.Starved}
	r := stream.NewRequest(s.shared.Streams, &s.wakes, new(uint64))
	for range 2 {
		account.Take(limits.EventCost([]byte("news"), nil, []byte("1")))
		r.Begin(nil, account, 0)
		r.Submit([]byte("news"), nil, []byte("1"))
	}
	s.takeMail()
	return sc
}

// TestInvariantsHold has what the checks below take for sound.
func TestInvariantsHold(t *testing.T) {
	sc := newScene(t)
	if err := sc.violation(); err != nil {
		t.Error(err)
	}
	sc.fanOut()
	sc.first.leaveAll()
	sc.second.moveTo(sessionClosing)
	if err := sc.violation(); err != nil {
		t.Errorf("behind the fan-out: %v", err)
	}
}

// TestInvariantsOfShards breaks each of them.
func TestInvariantsOfShards(t *testing.T) {
	for finds, breaks := range map[string]func(*scene){
		// What sessions and channels know of each other.
		"is not in the roster":              func(sc *scene) { sc.first.subscriptions[1].place = 1 },
		"a channel \"news\" that is closed": func(sc *scene) { delete(sc.channels, "news") },
		"is no subscription of its session": func(sc *scene) { sc.news.roster.add(sc.first, 7); sc.news.Subscribers.Store(3) },
		"state 4 has subscriptions":         func(sc *scene) { sc.first.state = sessionClosed },
		"open as \"olds\"": func(sc *scene) {
			sc.channels["olds"] = sc.channels["other"]
		},
		"open without subscribers":      func(sc *scene) { sc.channels["empty"] = &channel{Interest: stream.Interest{Name: "empty"}} },
		"publishers see 7 subscribers":  func(sc *scene) { sc.news.Subscribers.Store(7) },
		"the fan-out of \"news\" is at": func(sc *scene) { sc.news.roster.limit = 1 },
		"at 2 of 1 of":                  func(sc *scene) { sc.news.job = new(job); sc.news.roster.cursor, sc.news.roster.limit = 2, 1 },
		"2 events are queued, 3":        func(sc *scene) { sc.Counters.QueuedEvents++ },
		"-1 channels are parked":        func(sc *scene) { sc.parked-- },
		"0 events are queued, 2":        func(sc *scene) { sc.fresh.Pop() },
		"is not among those that lag":   func(sc *scene) { sc.second.backlog.Place = 3 },
		"of 2 clients that lag":         func(sc *scene) { sc.Counters.Lagging = 2 },
		// A decision and its session.
		"state 3 holds": func(sc *scene) {
			sc.first.leaveAll()
			sc.first.state, sc.first.held = sessionClosing, &heldInput{decision: &decision{session: sc.first}}
		},
		"state 2 holds": func(sc *scene) { sc.first.held = &heldInput{decision: &decision{session: sc.second}} },
		"state 1 holds": func(sc *scene) {
			sc.first.leaveAll()
			sc.first.state = sessionDeciding
		},
		// What is counted.
		"bytes of input are held": func(sc *scene) { sc.unfinished[sc.first] = limits.Unfinished{Bytes: 1} },
		"a backlog counts":        func(sc *scene) { sc.second.backlog.Bytes++ },
		"given back 5 more":       func(sc *scene) { sc.publishing[sc.first].InUse.Store(-5) },
		"connections:3":           func(sc *scene) { sc.Counters.Connections++ },
		"clients:3":               func(sc *scene) { sc.Counters.Clients++ },
		"deciding:1":              func(sc *scene) { sc.Counters.Deciding++ },
		"compressed:1":            func(sc *scene) { sc.Counters.CompressedClients++ },
		"compressed:1 ":           func(sc *scene) { sc.first.format = sc.ledger.Formats.Of("", 15) },
		"lagging:0":               func(sc *scene) { sc.Counters.Lagging-- },
		"subscriptions:3":         func(sc *scene) { sc.Counters.Subscriptions-- },
		"backlogs:6":              func(sc *scene) { sc.Counters.BacklogBytes++ },
		"unfinished:1":            func(sc *scene) { sc.unfinishedBytes++ },
		"sizes:[1":                func(sc *scene) { sc.ledger.Sizes[0].Add(1) },
		// Sums over all loops.
		"the connections are -1":         func(sc *scene) { sc.shared.connections.Store(-1) },
		"the subscriptions are -1":       func(sc *scene) { sc.shared.subscriptions.Store(-1) },
		"the bytes of backlogs are -":    func(sc *scene) { sc.shared.Backlogs.Compressed.Add(-1 << 20) },
		"the bytes of input are -1":      func(sc *scene) { sc.shared.ClientInput.Held.Store(-1) },
		"the bytes of contexts are -1":   func(sc *scene) { sc.shared.Contexts.Held.Store(-1) },
		"the connects that wait are -1":  func(sc *scene) { sc.shared.Admission.waiting.Store(-1) },
		"the decisions under way are -1": func(sc *scene) { leftTwice(&sc.shared.Admission.deciding) },
		"credits are free of 67108864":   func(sc *scene) { sc.giveTwice() },
	} {
		t.Run(finds, func(t *testing.T) {
			sc := newScene(t)
			breaks(sc)
			defer sc.mend()
			if err := sc.violation(); err == nil || !strings.Contains(err.Error(), finds) {
				t.Errorf("the violation is %v", err)
			}
		})
	}
}

// mend lets all end when the loops close.
func (sc *scene) mend() {
	for _, c := range []*session{sc.first, sc.second} {
		c.state, c.subscriptions, c.held, c.backlog = sessionClosing, nil, nil, nil
	}
}

// giveTwice gives credits back that nobody has taken.
func (sc *scene) giveTwice() { sc.publishing[sc.first].Give(1 << 20) }

// leftTwice has one leave twice that has entered once.
func leftTwice(c *limits.Crowd) {
	c.Enter(netip.Addr{}, 1)
	c.Leave(netip.Addr{})
	c.Leave(netip.Addr{})
}

// TestBrokenInvariantPanics: a loop that finds one does not go on.
func TestBrokenInvariantPanics(t *testing.T) {
	sc := newScene(t)
	sc.Counters.Clients++
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "shard 0 breaks an invariant") {
			t.Errorf("recovered %q", text)
		}
	}()
	sc.checkInvariants()
}
