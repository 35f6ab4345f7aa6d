package shard

import (
	"time"

	"fleetcast/codec/command"
	"fleetcast/gateway/backlog"
	"fleetcast/gateway/limits"
)

// A client that asks for earlier events of a channel gets them from the channel's history, and
// joins the roster when it has all up to the last one whose fan-out has begun. Until then its
// subscription is a catch-up: a place in the stream, and nothing that waits in memory. It goes
// on whenever the client's socket has taken what was sent.

const (
	// catchUpSize is how many bytes one client gets in one go, in one write.
	catchUpSize = 64 << 10
	// aheadWait is after what time to look again for catch-ups that are ahead of the fan-out.
	aheadWait = time.Millisecond
)

// catchUp is one subscription that catches up.
type catchUp struct {
	channel *channel
	number  uint32 // in the session's subscriptions
	next    uint64 // offset of the event that is sent next
}

// catcher has the catch-ups of one client.
type catcher struct {
	session  *session
	catchUps []catchUp
	turn     int  // which of them is served next
	listed   bool // in the shard's queue
}

// outcomes of asking for earlier events, as they are counted.
const (
	outcomeRecovered = "recovered" // every event since the client's position
	outcomeLost      = "lost"      // not all of them, which is told
	outcomeUnknown   = "unknown"   // the position is of another epoch
	outcomeRewound   = "rewound"   // the latest events
)

// RecoveryOutcomes are all of them.
var RecoveryOutcomes = []string{outcomeRecovered, outcomeLost, outcomeUnknown, outcomeRewound}

// begin decides behind which offset the events begin that a new subscription gets, and what its
// client is told about that.
func (s *Shard) begin(ch *channel, start *command.Start) (behind uint64, r command.Recovery) {
	streams, now := s.shared.Streams, s.Loop.Now()
	s.historyWork += limits.NameWork
	if !start.HasSince {
		kept := streams.Kept(&ch.Interest, 1, now)
		s.Counters.Recoveries[outcomeRewound]++
		return max(kept.First-1, kept.Last-min(uint64(start.Last), kept.Last)), command.Recovery{Latest: kept.Last}
	}
	behind = start.Since.Offset
	kept := streams.Kept(&ch.Interest, behind+1, now)
	r = command.Recovery{Resumes: true, Latest: kept.Last}
	switch lost := min(kept.First-1, ch.begun); {
	case string(start.Since.Epoch) != string(ch.epoch[:]) || behind > kept.Last:
		s.Counters.Recoveries[outcomeUnknown]++
		return ch.begun, r
	case lost > behind:
		s.Counters.Recoveries[outcomeLost]++
		r.LostFrom, r.LostTo = behind+1, lost
	default:
		s.Counters.Recoveries[outcomeRecovered]++
		r.Recovered = true
	}
	return behind, r
}

// catcherOf is what catches up for the client, or nil.
func (s *Shard) catcherOf(c *session) *catcher {
	if len(s.catchers) == 0 {
		return nil
	}
	return s.catchers[c]
}

// catchUp begins a subscription whose events begin behind an offset.
func (c *session) catchUp(ch *channel, behind uint64) {
	s := c.shard
	k := s.catchers[c]
	if k == nil {
		if k = s.takeCatcher(); s.catchers == nil {
			s.catchers = make(map[*session]*catcher)
		}
		k.session = c
		s.catchers[c] = k
	}
	ch.catching++
	s.Counters.CatchingUp++
	k.catchUps = append(k.catchUps, catchUp{channel: ch, number: uint32(len(c.subscriptions)), next: behind + 1})
	c.subscriptions = append(c.subscriptions, subscription{channel: ch, place: uint32(len(k.catchUps) - 1), catching: true})
	s.goOnCatching(k)
}

// goOnCatching has a client served in one of the next turns.
func (s *Shard) goOnCatching(k *catcher) {
	if !k.listed {
		k.listed = true
		s.catching.Push(k)
	}
}

// remove takes out the catch-up at a place. The last one takes its place.
func (k *catcher) remove(place uint32) {
	s := k.session.shard
	k.catchUps[place].channel.catching--
	s.Counters.CatchingUp--
	last := len(k.catchUps) - 1
	if int(place) != last {
		k.catchUps[place] = k.catchUps[last]
		k.session.subscriptions[k.catchUps[place].number].place = place
	}
	k.catchUps[last] = catchUp{}
	k.catchUps = k.catchUps[:last]
	if last == 0 {
		delete(s.catchers, k.session)
		k.session = nil // it is dropped when its turn comes
		if !k.listed {
			s.keepCatcher(k)
		}
	}
}

func (s *Shard) takeCatcher() *catcher {
	if n := len(s.catcherPool); n > 0 {
		k := s.catcherPool[n-1]
		s.catcherPool = s.catcherPool[:n-1]
		return k
	}
	return new(catcher)
}

// catchersKept is how many unused catchers a shard keeps, and catchUpsKept for how many
// catch-ups each of them may have room.
const (
	catchersKept = 256
	catchUpsKept = 64
)

func (s *Shard) keepCatcher(k *catcher) {
	if len(s.catcherPool) < catchersKept && cap(k.catchUps) <= catchUpsKept {
		*k = catcher{catchUps: k.catchUps[:0]}
		s.catcherPool = append(s.catcherPool, k)
	}
}

// catchUps serves clients that catch up, in turn, for one slice or for the half of it while
// there are events to fan out. It tells whether more can be done at once.
func (s *Shard) catchUps() (busy bool) {
	if s.catching.Len() == 0 {
		return false
	}
	slice := s.slice
	if !s.nothingToFanOut() {
		slice /= 2
	}
	end, progress := s.Loop.Refresh()+slice, false
	for range s.catching.Len() {
		k := s.catching.Pop()
		k.listed = false
		if k.session == nil {
			s.keepCatcher(k)
			continue
		}
		if c := k.session; c.backlog == nil && c.conn.Open() {
			progress = c.sendEarlier(k, nil) || progress
			if k.session == c && c.backlog == nil {
				s.goOnCatching(k)
			}
		} // else it goes on when its backlog has left
		if s.Loop.Refresh() >= end {
			progress = true
			break
		}
	}
	if s.catching.Len() > 0 && !progress {
		s.alarm.by(s.Loop.Now() + aheadWait)
	}
	return s.catching.Len() > 0 && progress
}

// earlier is a part of what is sent to a client that catches up.
type earlier struct {
	place int      // of the catch-up
	ends  []uint32 // of its frames, behind base; nil if it is a gap
	base  uint32
	next  uint64 // offset behind its last event
	bytes int
}

// sendEarlier sends replies, and behind them earlier events of the client's catch-ups, in one
// write. The client has no backlog. It tells whether anything was sent or a subscription has
// joined the live ones.
func (c *session) sendEarlier(k *catcher, replies []byte) (progress bool) {
	s := c.shard
	s.trimRuns()
	c.join(k)
	vectors, parts := s.vectors[:0], s.earlier[:0]
	if len(replies) > 0 {
		vectors = append(vectors, replies)
	}
	s.gapText = s.gapText[:0]
	budget := catchUpSize - len(replies)
	s.framing = 0
	more := func() bool {
		return budget > 0 && len(vectors) < backlog.FlushVectors && s.framing < compressedAtOnce
	}
	for n := 0; n < len(k.catchUps) && more(); n++ {
		place := (k.turn + n) % len(k.catchUps)
		u := &k.catchUps[place]
		// Clients that begin at different events leave runs of few events each.
		for next := u.next; next <= u.channel.begun && more(); {
			part, bytes := c.earlierOf(u.channel, next, budget)
			part.place, next = place, part.next
			budget -= max(len(bytes), 1)
			vectors, parts = append(vectors, bytes), append(parts, part)
		}
	}
	k.turn++
	if len(vectors) > 0 {
		c.sendParts(k, replies, vectors, parts)
		progress = true
	}
	clear(vectors)
	clear(parts)
	s.vectors, s.earlier = vectors[:0], parts[:0]
	if c.conn.Open() && s.catchers[c] == k {
		progress = c.join(k) || progress
	}
	return progress
}

// earlierOf is what a catch-up sends from an event on: frames, or a gap.
func (c *session) earlierOf(ch *channel, from uint64, budget int) (part earlier, bytes []byte) {
	s := c.shard
	of, f := s.shared.Settings.Load(), c.format
	if !ch.Stream.RuleIn(of.Rules).Compress {
		f = s.ledger.Formats.Plain(f)
	}
	frames, ends, first := s.frames(ch, f, from, ch.begun)
	if len(frames) == 0 {
		to := min(max(first-1, from), ch.begun)
		start := len(s.gapText)
		s.gapText = c.dialect().AppendGap(s.gapText, ch.Name, from, to)
		return earlier{next: to + 1, bytes: len(s.gapText) - start}, s.gapText[start:]
	}
	n := len(ends)
	base := ends[n-1] - uint32(len(frames))
	for n > 1 && int(ends[n-1]-base) > budget {
		n--
	}
	frames = frames[:ends[n-1]-base]
	return earlier{ends: ends[:n], base: base, next: from + uint64(n), bytes: len(frames)}, frames
}

// sendParts sends replies and parts, and notes how far the catch-ups have come. Of what the
// socket does not take, only the rest of a frame that is half sent waits, and the replies.
func (c *session) sendParts(k *catcher, replies []byte, vectors [][]byte, parts []earlier) {
	s := c.shard
	n, err := c.conn.SendVectors(vectors)
	if err != nil {
		c.conn.Close(err)
		return
	}
	s.Counters.Writes++
	s.Counters.BytesOut += uint64(n)
	c.lastSeen = seenAt(s.Loop.Now())
	vectors = vectors[len(vectors)-len(parts):]
	if n < len(replies) {
		c.lag()
		c.backlog.PushOwn(backlog.OwnReply, replies, n)
		return
	}
	n -= len(replies)
	for i := range parts {
		p := &parts[i]
		if n < p.bytes {
			c.sentHalf(k, p, vectors[i], n)
			return
		}
		n -= p.bytes
		c.sent(k, p, len(p.ends))
	}
}

// sent notes that so many of a part's events have left, or that its gap has.
func (c *session) sent(k *catcher, p *earlier, events int) {
	s := c.shard
	u := &k.catchUps[p.place]
	if p.ends == nil {
		u.next = p.next
		s.Counters.Gaps++
		return
	}
	u.next += uint64(events)
	s.Counters.Deliveries += uint64(events)
	s.Counters.EventsRecovered += uint64(events)
}

// sentHalf notes that n bytes of a part have left. The rest of the frame of which a part has
// left waits.
func (c *session) sentHalf(k *catcher, p *earlier, bytes []byte, n int) {
	c.lag()
	if p.ends == nil {
		if n > 0 {
			c.backlog.PushOwn(backlog.OwnReply, bytes, n)
			c.sent(k, p, 0)
		}
		return
	}
	events, start := 0, 0
	for start < n {
		end := int(p.ends[events] - p.base)
		events++
		if end > n {
			c.backlog.PushOwn(backlog.OwnReply, bytes[start:end], n-start)
		}
		start = end
	}
	c.sent(k, p, events)
}

// join has those catch-ups join the live subscribers that have all events up to the last one
// whose fan-out has begun. It tells whether there were any.
func (c *session) join(k *catcher) (joined bool) {
	for place := len(k.catchUps) - 1; place >= 0; place-- {
		u := k.catchUps[place]
		if u.next != u.channel.begun+1 {
			continue
		}
		c.subscriptions[u.number] = subscription{channel: u.channel, place: u.channel.roster.add(c, int(u.number))}
		k.remove(uint32(place))
		joined = true
	}
	return joined
}

// caughtUpTo is the offset up to which the client of a catch-up has the events.
func (c *session) caughtUpTo(sub subscription) uint64 {
	return c.shard.catchers[c].catchUps[sub.place].next - 1
}

// subscribers is how many a channel has.
func (c *channel) subscribers() int { return len(c.roster.entries) + c.catching }
