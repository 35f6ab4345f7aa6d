package shard

import (
	"fleetcast/gateway/mem"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/stream"
)

// channel is one shard's side of a channel: its subscribers there, and the events on
// their way to them. It exists from its first subscriber to its last. If clients
// subscribe again, that makes a new channel, so events that are still posted to the old
// one find nobody. The shard owns it, except the interest's number of subscribers.
type channel struct {
	stream.Interest
	shard *Shard
	epoch stream.Epoch
	begun uint64 // offset of the last event whose fan-out has begun: a new subscriber starts behind it

	roster   roster
	catching int                     // subscriptions that are not in it, because they catch up
	runs     runs                    // of its history; see framed.go
	waits    mem.Ring[*stream.Event] // posted, their fan-out not begun
	job      *job                    // the fan-out under way, or nil
}

// subscription is a session's side of a roster entry, or of a catch-up.
type subscription struct {
	channel  *channel
	place    uint32 // in the channel's roster, or among the session's catch-ups
	catching bool   // it catches up
}

// roster is the list of a channel's subscribers, with the progress of the fan-out under
// way over it. Entries before cursor are served. Entries from cursor to limit are not
// served yet. Entries from limit on were added later and do not get these events.
// Without a fan-out, cursor and limit are 0.
type roster struct {
	entries []rosterEntry
	cursor  int
	limit   int
}

// rosterEntry is a session and the number of this subscription in the session, so that
// either side can be moved in constant time.
type rosterEntry struct {
	session *session
	number  uint32 // in the session's subscriptions
}

// served tells whether the entry at place gets nothing more of the fan-out under way.
func (r *roster) served(place uint32) bool { return int(place) < r.cursor || int(place) >= r.limit }

// begin starts a fan-out to the present entries.
func (r *roster) begin() { r.cursor, r.limit = 0, len(r.entries) }

// end ends it.
func (r *roster) end() { r.cursor, r.limit = 0, 0 }

// add appends an entry, beyond the limit of a fan-out, and returns its place.
func (r *roster) add(s *session, number int) (place uint32) {
	r.entries = append(r.entries, rosterEntry{s, uint32(number)})
	return uint32(len(r.entries) - 1)
}

// remove takes out the entry at place. The hole moves to the end in up to three steps.
// In each step the last entry of the hole's region fills it. So a fan-out under way
// serves every other subscriber exactly once.
func (r *roster) remove(place uint32) {
	hole := int(place)
	if hole < r.cursor {
		r.cursor--
		hole = r.move(r.cursor, hole)
	}
	if hole < r.limit {
		r.limit--
		hole = r.move(r.limit, hole)
	}
	last := len(r.entries) - 1
	r.move(last, hole)
	r.entries[last] = rosterEntry{}
	r.entries = r.entries[:last]
}

// move puts the entry at from into the hole and returns the new hole.
func (r *roster) move(from, hole int) int {
	if from != hole {
		moved := r.entries[from]
		r.entries[hole] = moved
		moved.session.subscriptions[moved.number].place = uint32(hole)
	}
	return from
}

// namesLooked is how many rules a shard keeps that it has looked up for names other
// than those of its own channels.
const namesLooked = 1024

// ruleFor is the rule for a channel that a client names. It remembers the name.
func (s *Shard) ruleFor(name []byte) *rules.Rule {
	table := s.shared.Settings.Load().Rules
	if ch := s.channels[string(name)]; ch != nil {
		return ch.Stream.RuleIn(table)
	}
	r := s.rules[string(name)]
	if r == nil || r.Of != table {
		s.ruled += table.Len()
		if r = table.ForName(name); len(s.rules) >= namesLooked {
			clear(s.rules)
		}
		s.rules[string(name)] = r
	}
	return r
}
