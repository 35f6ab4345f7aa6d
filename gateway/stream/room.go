package stream

import (
	"sync/atomic"

	"fleetcast/gateway/limits"
	"fleetcast/gateway/stats"
)

// streamRoom is how the streams that are kept are shared out. A stream is unused
// without subscribers; then only its position is kept.
type streamRoom struct {
	made   [limits.Makers]atomic.Int64
	unused [limits.Makers]atomic.Int64
	cursor atomic.Uint32 // stripe in which an unused stream was found last

	evicted atomic.Uint64 // unused streams that were forgotten for new ones
	unkept  atomic.Uint64 // events of streams for which there was no room
}

// Parts of the limit on streams, as divisors.
const (
	// publishersPart is what clients can never use.
	publishersPart = 8
	// unusedClientsPart is what may be used by unused streams that clients made.
	unusedClientsPart = 8
	// roomPerSubscription is how much must be free for a client with more than
	// fewSubscriptions to get one more of what runs short: so many times the
	// subscriptions that it has.
	roomPerSubscription = 8
	fewSubscriptions    = 8
)

// clientsLimit is how many streams clients may make if all streams have this limit.
func clientsLimit(limit int64) int64 { return limit - limit/publishersPart }

// Grants tells whether a client that has so many subscriptions may have one more of
// something that has so much room left. Clients that have few go first.
func Grants(room int64, subscriptions int) bool {
	return subscriptions < fewSubscriptions || int64(subscriptions)*roomPerSubscription <= room
}

// GrantsNew is grants for a subscription to a stream that is not kept yet.
func (s *Streams) GrantsNew(subscriptions int) bool {
	subscribed := s.room.made[limits.ByClient].Load() - s.room.unused[limits.ByClient].Load()
	return Grants(clientsLimit(s.limit.Load())-subscribed, subscriptions)
}

// Has tells whether a stream is kept.
func (s *Streams) Has(name []byte) bool {
	stripe := s.stripe(name)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	return stripe.byName[string(name)] != nil
}

// Open makes a stream, as an unused one, or returns nil if there is no room. The
// caller holds the stripe's lock.
func (s *Streams) open(stripe *stripe, name []byte, by limits.Maker, subscribed bool) *Stream {
	if !s.makeRoom(stripe, by, subscribed) {
		return nil
	}
	st := &Stream{Name: string(name), epoch: newEpoch(s.seed, string(name), stripe.life), maker: by}
	s.add(stripe, st)
	return st
}

// add puts a new stream, which is counted already, among the unused ones.
func (s *Streams) add(stripe *stripe, st *Stream) {
	stripe.byName[st.Name] = st
	s.room.made[st.maker].Add(1)
	s.setUnused(stripe, st)
}

// makeRoom counts one more stream, and forgets an unused one for it if necessary.
// Streams that clients made go before those of publishers. An event of a client never
// removes a publisher's stream. The caller holds the stripe's lock.
func (s *Streams) makeRoom(stripe *stripe, by limits.Maker, subscribed bool) bool {
	limit := s.limit.Load()
	if by == limits.ByClient {
		full := s.room.made[limits.ByClient].Load() >= clientsLimit(limit) ||
			!subscribed && s.room.unused[limits.ByClient].Load() >= max(limit/unusedClientsPart, 1)
		if full && !s.evict(stripe, limits.ByClient) {
			return false
		}
	}
	if s.count.Add(1) <= limit || s.evict(stripe, limits.ByClient) {
		return true
	}
	if (by == limits.ByPublisher || subscribed) && s.evict(stripe, limits.ByPublisher) {
		return true
	}
	s.count.Add(-1)
	return false
}

// evict forgets an unused stream that has not been used for long: one of the stripe
// whose lock the caller holds, or of another stripe that is not locked.
func (s *Streams) evict(held *stripe, of limits.Maker) bool {
	if s.room.unused[of].Load() <= 0 {
		return false
	}
	if s.evictFrom(held, of) {
		return true
	}
	from := s.room.cursor.Load()
	for i := range uint32(StripeCount) {
		at := (from + i) % StripeCount
		other := &s.stripes[at]
		// Whoever holds a lock never waits for another, so there is no deadlock.
		if other == held || other.unused[of].count.Load() == 0 || !other.mu.TryLock() {
			continue
		}
		done := s.evictFrom(other, of)
		other.mu.Unlock()
		if done {
			s.room.cursor.Store(at)
			return true
		}
	}
	return false
}

// evictFrom forgets the stream that stands first in the stripe's list. Those that
// were used again since they were listed go behind the others instead: so an event
// need not move its stream, and each pays for one such step at most.
func (s *Streams) evictFrom(stripe *stripe, of limits.Maker) bool {
	list := &stripe.unused[of]
	for st := list.oldest; st != nil; st = list.oldest {
		if !st.usedAgain {
			s.forget(stripe, st)
			s.room.evicted.Add(1)
			return true
		}
		st.usedAgain = false
		list.remove(st)
		list.add(st)
	}
	return false
}

// forget drops an unused stream. If it has a position, no later stream of that
// name may have the same epoch.
func (s *Streams) forget(stripe *stripe, st *Stream) {
	if st.Offset > 0 {
		stripe.life++
	}
	s.dropLog(stripe, st)
	s.setUsed(stripe, st)
	delete(stripe.byName, st.Name)
	s.room.made[st.maker].Add(-1)
	s.count.Add(-1)
}

// pass gives an event a position in an epoch of its own, because there is no room for
// its stream.
func (s *Streams) pass(stripe *stripe, name []byte) Position {
	p := Position{Epoch: newEpoch(s.seed, string(name), stripe.life), Offset: 1}
	stripe.life++
	s.room.unkept.Add(1)
	return p
}

// adopt makes a stream that clients have made a publisher's.
func (s *Streams) adopt(stripe *stripe, st *Stream) {
	unused := len(st.interested) == 0
	if unused {
		s.setUsed(stripe, st)
	}
	s.room.made[st.maker].Add(-1)
	st.maker = limits.ByPublisher
	s.room.made[st.maker].Add(1)
	if unused {
		s.setUnused(stripe, st)
	}
}

// setUnused lists a stream that has no subscribers, as used just now.
func (s *Streams) setUnused(stripe *stripe, st *Stream) {
	stripe.unused[st.maker].add(st)
	st.usedIn, st.usedAgain = stripe.sweeps, false
	s.room.unused[st.maker].Add(1)
}

// setUsed takes a stream out of the list of unused ones.
func (s *Streams) setUsed(stripe *stripe, st *Stream) {
	stripe.unused[st.maker].remove(st)
	s.room.unused[st.maker].Add(-1)
}

// unusedStreams are the unused streams of a stripe and a maker, in about the order
// of their last use. The stripe's lock guards all but count.
type unusedStreams struct {
	oldest, newest *Stream
	count          atomic.Int32
}

func (l *unusedStreams) add(st *Stream) {
	st.earlier, st.later = l.newest, nil
	if l.newest == nil {
		l.oldest = st
	} else {
		l.newest.later = st
	}
	l.newest = st
	l.count.Add(1)
}

func (l *unusedStreams) remove(st *Stream) {
	if st.earlier == nil {
		l.oldest = st.later
	} else {
		st.earlier.later = st.later
	}
	if st.later == nil {
		l.newest = st.earlier
	} else {
		st.later.earlier = st.earlier
	}
	st.earlier, st.later = nil, nil
	l.count.Add(-1)
}

// SetLimit changes how many streams are kept at most. Those there are stay.
func (s *Streams) SetLimit(n int) { s.limit.Store(int64(n)) }

// AddStats adds what is counted of streams.
func (s *Streams) AddStats(to *stats.Publish) {
	to.Streams += s.count.Load()
	for of := range s.room.unused {
		to.StreamsUnused += s.room.unused[of].Load()
	}
	to.StreamsEvicted += s.room.evicted.Load()
	to.EventsUnkept += s.room.unkept.Load()
	s.addHistory(to)
	s.idempotency.addStats(to)
}
