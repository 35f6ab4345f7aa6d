package gateway

import (
	"fleetcast/gateway/mem"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/stream"
)

// channel is a channel as one shard sees it: its subscribers there, and the
// events on their way to them. It exists from its first subscriber to its last;
// a channel that is subscribed to again is a new one, so events that are still
// posted to the old one find nobody. The shard owns it, but for the interest's subscribers.
type channel struct {
	stream.Interest
	shard *shard
	epoch stream.Epoch
	begun uint64 // offset of the last event whose fan-out has begun: where a joiner starts

	roster roster
	waits  mem.Ring[*stream.Event] // posted, their fan-out not begun
	job    *job                    // the fan-out under way, or nil
}

// subscription is a session's side of a roster entry.
type subscription struct {
	channel *channel
	place   uint32 // in the channel's roster
}

// roster is the list of a channel's subscribers with the progress of the
// fan-out under way over it: entries before cursor are served, those from
// cursor to limit are not yet, those from limit on joined later and are not
// concerned. Without a fan-out, cursor and limit are 0.
type roster struct {
	entries []rosterEntry
	cursor  int
	limit   int
}

// rosterEntry is a session and which of its subscriptions this is, so that
// either side can be moved in constant time.
type rosterEntry struct {
	session *session
	number  uint32 // in the session's subscriptions
}

// begin starts a fan-out to the present entries.
func (r *roster) begin() { r.cursor, r.limit = 0, len(r.entries) }

// end ends it.
func (r *roster) end() { r.cursor, r.limit = 0, 0 }

// add appends an entry, beyond the limit of a fan-out, and returns its place.
func (r *roster) add(s *session, number int) (place uint32) {
	r.entries = append(r.entries, rosterEntry{s, uint32(number)})
	return uint32(len(r.entries) - 1)
}

// remove takes the entry at place out. A hole moves to the end in up to three
// steps, each filled by the last entry of its region, so that a fan-out under
// way serves every other subscriber exactly once.
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

// namesLooked is for how many names a shard keeps the rules that it has looked up,
// beside those of its own channels.
const namesLooked = 1024

// ruleFor is the rule for a channel that a client names.
func (s *shard) ruleFor(name []byte) *rules.Rule {
	table := s.shared.settings.Load().Rules
	if ch := s.channels[string(name)]; ch != nil {
		return ch.Stream.RuleIn(table)
	}
	r := s.rules[string(name)]
	if r == nil || r.Of != table {
		if r = table.For(string(name)); len(s.rules) >= namesLooked {
			clear(s.rules)
		}
		s.rules[string(name)] = r
	}
	return r
}
