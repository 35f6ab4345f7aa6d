package shard

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// rosterOracle runs a roster beside the plainest model of what it promises: of
// the sessions present when a fan-out begins, each that is still present when
// its turn comes is served exactly once, and nobody else is.
type rosterOracle struct {
	t       *testing.T
	channel *channel
	present []*session
	due     map[*session]bool // of the fan-out under way: to be served yet
	served  map[*session]bool
	running bool
}

func newRosterOracle(t *testing.T) *rosterOracle {
	return &rosterOracle{t: t, channel: &channel{}}
}

// step reads one operation and its operand.
func (o *rosterOracle) step(operation, operand byte) {
	r := &o.channel.roster
	switch operation % 6 {
	case 0, 1:
		c := new(session)
		if operand%2 == 0 { // the subscription need not be the session's first
			c.subscriptions = append(c.subscriptions, subscription{})
		}
		number := len(c.subscriptions)
		c.subscriptions = append(c.subscriptions, subscription{channel: o.channel, place: r.add(c, number)})
		o.present = append(o.present, c)
	case 2:
		o.removeAny(int(operand))
	case 3:
		if !o.running {
			r.begin()
			o.running = true
			o.due, o.served = make(map[*session]bool), make(map[*session]bool)
			for _, c := range o.present {
				o.due[c] = true
			}
		}
	case 4:
		for range int(operand)%3 + 1 {
			o.serveOne()
		}
	case 5: // the one just served leaves, as a slow consumer does
		if served := o.serveOne(); served != nil {
			o.remove(slices.Index(o.present, served))
		}
	}
	o.check()
}

func (o *rosterOracle) removeAny(operand int) {
	if len(o.present) > 0 {
		o.remove(operand % len(o.present))
	}
}

func (o *rosterOracle) remove(i int) {
	c := o.present[i]
	o.channel.roster.remove(c.subscriptions[len(c.subscriptions)-1].place)
	o.present = slices.Delete(o.present, i, i+1)
	delete(o.due, c)
}

// plainhttp.serveOne does what a fan-out does for one subscriber, and ends it behind the
// last.
func (o *rosterOracle) serveOne() *session {
	r := &o.channel.roster
	if !o.running {
		return nil
	}
	if r.cursor == r.limit {
		if len(o.due) > 0 {
			o.t.Fatalf("the fan-out ended with %d subscribers not served", len(o.due))
		}
		r.end()
		o.running = false
		return nil
	}
	c := r.entries[r.cursor].session
	r.cursor++
	switch {
	case o.served[c]:
		o.t.Fatal("a subscriber was served twice")
	case !o.due[c]:
		o.t.Fatal("a subscriber was served that joined later or had left")
	}
	o.served[c] = true
	delete(o.due, c)
	return c
}

// check compares the whole roster with the model.
func (o *rosterOracle) check() {
	r := &o.channel.roster
	if len(r.entries) != len(o.present) {
		o.t.Fatalf("%d entries for %d subscribers", len(r.entries), len(o.present))
	}
	for place, e := range r.entries {
		sub := e.session.subscriptions[e.number]
		if sub.channel != o.channel || int(sub.place) != place {
			o.t.Fatalf("the entry at %d belongs to a subscription that says %d", place, sub.place)
		}
	}
	for _, e := range r.entries[len(r.entries):cap(r.entries)] {
		if e.session != nil {
			o.t.Fatal("a session that left is still referred to")
		}
	}
	if o.running && r.limit-r.cursor != len(o.due) {
		o.t.Fatalf("%d entries between cursor and limit, %d subscribers to serve", r.limit-r.cursor, len(o.due))
	}
}

// finish serves the rest.
func (o *rosterOracle) finish() {
	for o.running {
		o.serveOne()
	}
}

func TestRosterLeaversDuringFanOut(t *testing.T) {
	// Each case has six subscribers, of whom some are served, and one or two
	// who join late.
	for _, test := range []struct {
		name           string
		served, joined int
		leavers        []uint32 // places, one after the other
	}{
		{"served, before the cursor", 3, 0, []uint32{0}},
		{"served last", 3, 0, []uint32{2}},
		{"next", 3, 0, []uint32{3}},
		{"last of those due", 3, 0, []uint32{5}},
		{"served, with joiners", 3, 2, []uint32{1}},
		{"due, with joiners", 3, 2, []uint32{4}},
		{"a joiner", 3, 2, []uint32{6}},
		{"the last joiner", 3, 2, []uint32{7}},
		{"before anyone is served", 0, 1, []uint32{0}},
		{"after all were served", 6, 1, []uint32{0}},
		{"everyone", 3, 2, []uint32{0, 0, 0, 0, 0, 0, 0, 0}},
		{"everyone from the end", 3, 2, []uint32{7, 6, 5, 4, 3, 2, 1, 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newRosterOracle(t)
			for range 6 {
				o.step(0, 1)
			}
			o.step(3, 0)
			for range test.served {
				o.step(4, 0)
			}
			for range test.joined {
				o.step(0, 1)
			}
			for _, place := range test.leavers {
				leaver := o.channel.roster.entries[place].session
				o.remove(slices.Index(o.present, leaver))
				o.check()
			}
			o.finish()
		})
	}
}

func TestRosterRandomly(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		o := newRosterOracle(t)
		for range 500 {
			o.step(byte(random.Uint32()), byte(random.Uint32()))
		}
		o.finish()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzRoster(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 1, 0, 1, 0, 0, 3, 0, 4, 0, 2, 0, 0, 1, 4, 2, 2, 1, 4, 2})
	f.Add([]byte{1, 1, 1, 1, 3, 0, 5, 0, 5, 0, 4, 0, 3, 0, 4, 2})
	f.Fuzz(func(t *testing.T, program []byte) {
		o := newRosterOracle(t)
		for ; len(program) >= 2; program = program[2:] {
			o.step(program[0], program[1])
		}
		o.finish()
	})
}

// TestLeaveRenumbers checks the other side of the bond: a session that leaves
// one of many channels gives that number to its last subscription.
func TestLeaveRenumbers(t *testing.T) {
	s := newTestShard(t)
	random := rand.New(rand.NewPCG(4, 2))
	sessions := make([]*session, 5)
	for i := range sessions {
		sessions[i] = &session{shard: s, state: sessionOpen}
	}
	names := []string{"a", "b", "c", "d", "e", "f"}
	for range 2_000 {
		c := sessions[random.IntN(len(sessions))]
		name := []byte(names[random.IntN(len(names))])
		if ch := s.channels[string(name)]; ch != nil && c.find(ch) >= 0 {
			c.leave(c.find(ch))
		} else {
			subscribeSilently(c, name)
		}
		checkBonds(t, s, sessions)
	}
	for _, c := range sessions {
		c.leaveAll()
	}
	checkBonds(t, s, sessions)
	if len(s.channels) != 0 || s.Counters.Subscriptions != 0 {
		t.Errorf("%d channels and %d subscriptions are left", len(s.channels), s.Counters.Subscriptions)
	}
	for _, name := range names {
		if s.shared.Streams.Has([]byte(name)) {
			t.Errorf("stream %q, which nobody published to, is left", name)
		}
	}
}

// subscribeSilently drops the reply.
func subscribeSilently(c *session, name []byte) {
	c.subscribe(name, noID, nil, nil)
	c.shard.replies = c.shard.replies[:0]
}

func checkBonds(t *testing.T, s *Shard, sessions []*session) {
	t.Helper()
	entries, subscriptions := 0, 0
	for _, ch := range s.channels {
		entries += len(ch.roster.entries)
		if int(ch.Subscribers.Load()) != len(ch.roster.entries) {
			t.Fatalf("channel %q counts %d subscribers, has %d", ch.Name, ch.Subscribers.Load(), len(ch.roster.entries))
		}
	}
	for _, c := range sessions {
		subscriptions += len(c.subscriptions)
		for number, sub := range c.subscriptions {
			if e := sub.channel.roster.entries[sub.place]; e.session != c || int(e.number) != number {
				t.Fatalf("subscription %d points to an entry of number %d", number, e.number)
			}
		}
	}
	if entries != subscriptions || s.Counters.Subscriptions != int64(entries) {
		t.Fatalf("%d entries, %d subscriptions, %d counted", entries, subscriptions, s.Counters.Subscriptions)
	}
}
