//go:build invariants

package shard

import (
	"cmp"
	"fmt"

	"fleetcast/gateway/limits"
	"fleetcast/poller"
)

// With the build tag invariants, a loop looks after its turns whether the data that
// refer to each other agree, and panics if they do not. docs/contributing.md says how
// to use it.

// checkInvariants is called by the loop after each turn.
func (s *Shard) checkInvariants() {
	if err := s.violation(); err != nil {
		panic(fmt.Sprintf("gateway: shard %d breaks an invariant: %v", s.Port.Index, err))
	}
}

// tally is what a shard counts as it goes, counted again from its state.
type tally struct {
	connections, deciding, clients, compressed   int64
	lagging, subscriptions, backlogs, unfinished int64
	sizes                                        [256]int32 // of backlogs, by class
}

// violation says what does not agree, if anything.
func (s *Shard) violation() error {
	if err := s.shared.violation(); err != nil || !s.pace.Due() {
		return err
	}
	var got tally
	err := s.queueViolation()
	s.Loop.EachConn(func(h poller.Handler) { err = cmp.Or(err, got.look(h.(*session))) })
	for name, ch := range s.channels {
		err = cmp.Or(err, ch.violation(name))
	}
	if s.pace.Owed = int(got.connections+got.subscriptions) + len(s.channels) + s.waitingEvents(); err != nil {
		return err
	}
	if int(got.connections) < s.Loop.Conns() {
		return nil // some connections are given up, and count until their handlers are told
	}
	c := &s.Counters
	counted := tally{connections: c.Connections, deciding: c.Deciding, clients: c.Clients, compressed: c.CompressedClients,
		lagging: c.Lagging, subscriptions: c.Subscriptions, backlogs: c.BacklogBytes, unfinished: s.unfinishedBytes}
	for class := range counted.sizes {
		counted.sizes[class] = s.ledger.Sizes[class].Load()
	}
	if got != counted {
		return fmt.Errorf("counted are %+v, there are %+v", counted, got)
	}
	return nil
}

// look counts a session, and says what does not agree in it.
func (t *tally) look(c *session) error {
	s := c.shard
	t.connections++
	switch c.state {
	case sessionDeciding:
		t.deciding++
	case sessionOpen:
		t.clients++
		if s.ledger.Formats.Compressed(c.format) {
			t.compressed++
		}
		if c.backlog != nil {
			t.lagging++
		}
	}
	t.subscriptions += int64(len(c.subscriptions))
	t.unfinished += int64(s.unfinished[c].Bytes)
	deciding := c.held != nil && c.held.decision != nil
	if deciding != (c.state == sessionDeciding) && c.state != sessionOpen || deciding && c.held.decision.session != c {
		return fmt.Errorf("a session in state %d holds %+v", c.state, c.held)
	}
	if c.state != sessionOpen && len(c.subscriptions) > 0 {
		return fmt.Errorf("a session in state %d has subscriptions", c.state)
	}
	if held := c.heldInputBytes(); s.unfinished[c].Bytes != held {
		return fmt.Errorf("%d bytes of input are held, %d are counted", held, s.unfinished[c].Bytes)
	}
	if account := s.publishing[c]; account != nil && account.InUse.Load() < 0 {
		return fmt.Errorf("the account of a client has given back %d more than it has taken", -account.InUse.Load())
	}
	for number, sub := range c.subscriptions {
		entries := sub.channel.roster.entries
		if sub.catching {
			if err := c.catchUpViolation(number); err != nil {
				return err
			}
		} else if int(sub.place) >= len(entries) || entries[sub.place] != (rosterEntry{c, uint32(number)}) {
			return fmt.Errorf("subscription %d to %q is not in the roster at %d", number, sub.channel.Name, sub.place)
		}
		if s.channels[sub.channel.Name] != sub.channel {
			return fmt.Errorf("a subscription is to a channel %q that is closed", sub.channel.Name)
		}
	}
	b := c.backlog
	if b == nil {
		return nil
	}
	t.backlogs += int64(b.Bytes)
	if b.Class > 0 {
		t.sizes[b.Class]++
	}
	if int(b.Place) >= len(s.lagging) || s.lagging[b.Place] != c {
		return fmt.Errorf("a session is not among those that lag at %d", b.Place)
	}
	return b.Violation()
}

// catchUpViolation says what does not agree about a subscription that catches up.
func (c *session) catchUpViolation(number int) error {
	sub, k := c.subscriptions[number], c.shard.catchers[c]
	if k == nil || k.session != c || int(sub.place) >= len(k.catchUps) {
		return fmt.Errorf("subscription %d to %q catches up nowhere", number, sub.channel.Name)
	}
	if u := k.catchUps[sub.place]; u.channel != sub.channel || int(u.number) != number {
		return fmt.Errorf("subscription %d to %q is not the catch-up at %d", number, sub.channel.Name, sub.place)
	}
	return nil
}

// violation says what does not agree in a channel that is open under the name.
func (c *channel) violation(name string) error {
	r := &c.roster
	switch n := len(r.entries); {
	case c.Name != name:
		return fmt.Errorf("channel %q is open as %q", c.Name, name)
	case c.subscribers() == 0 || c.catching < 0:
		return fmt.Errorf("channel %q is open without subscribers", name)
	case c.subscribers() != int(c.Subscribers.Load()):
		return fmt.Errorf("publishers see %d subscribers of %q, there are %d", c.Subscribers.Load(), name, c.subscribers())
	case r.cursor < 0 || r.cursor > r.limit || r.limit > n, c.job == nil && r.limit > 0:
		return fmt.Errorf("the fan-out of %q is at %d of %d of %d", name, r.cursor, r.limit, n)
	}
	for place, e := range r.entries {
		subs := e.session.subscriptions
		if int(e.number) >= len(subs) || subs[e.number] != (subscription{channel: c, place: uint32(place)}) {
			return fmt.Errorf("entry %d of the roster of %q is no subscription of its session", place, name)
		}
	}
	return nil
}

// queueViolation says whether the events that are counted as queued are not those of
// the channels in turn.
func (s *Shard) queueViolation() error {
	if s.parked < 0 || len(s.lagging) < int(s.Counters.Lagging) {
		return fmt.Errorf("%d channels are parked, %d of %d clients that lag are listed", s.parked, len(s.lagging), s.Counters.Lagging)
	}
	queued := int64(0)
	for _, list := range []interface {
		Len() int
		At(int) **channel
	}{&s.fresh, &s.active} {
		for i := range list.Len() {
			c := *list.At(i)
			if queued += int64(c.waits.Len()); c.job != nil {
				queued += int64(len(c.job.events))
			}
		}
	}
	if s.parked == 0 && queued != s.Counters.QueuedEvents || queued > s.Counters.QueuedEvents {
		return fmt.Errorf("%d events are queued, %d are counted", queued, s.Counters.QueuedEvents)
	}
	return nil
}

// waitingEvents is how many events wait in backlogs.
func (s *Shard) waitingEvents() (n int) {
	for _, c := range s.lagging {
		n += c.backlog.WaitingEvents()
	}
	return n
}

// violation says which of the sums over all shards cannot be.
func (all *Shared) violation() error {
	return cmp.Or(all.Credits.Violation(), limits.Negative(
		limits.Sum{Of: "connections", N: all.connections.Load()}, limits.Sum{Of: "subscriptions", N: all.subscriptions.Load()},
		limits.Sum{Of: "bytes of backlogs", N: all.Backlogs.Total()}, limits.Sum{Of: "bytes of input", N: all.ClientInput.Held.Load()},
		limits.Sum{Of: "bytes of contexts", N: all.Contexts.Held.Load()}, limits.Sum{Of: "connects that wait", N: all.Admission.waiting.Load()},
		limits.Sum{Of: "decisions under way", N: all.Admission.deciding.Len()}, limits.Sum{Of: "commands that hooks are asked about", N: all.Admission.asking.Len()}))
}
