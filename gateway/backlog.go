package gateway

import (
	"slices"
	"time"
	"unsafe"

	"fleetcast/gateway/mem"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
)

// repliesHeld is how much in replies may wait for a client before its commands are
// no longer read, in bytes.
const repliesHeld = 64 << 10

// ownKind tells what happens when a frame of the session's own has left.
type ownKind uint8

const (
	ownReply ownKind = iota // replies, control frames: nothing
	ownPing                 // the pong is due from then on
)

// ownFrame is one frame, or several whole ones, for this session alone.
type ownFrame struct {
	kind  ownKind
	bytes []byte
}

// waiting is an event that waits in a backlog: a reference to what all shards and
// backlogs share. There may be very many of them, so it is 16 bytes.
type waiting struct {
	event *stream.Event // nil: it was removed from the midst of the queue
	// detail has, from the low bits on: the format of the event's frame; whether it is
	// due; the policy that its channel had when it was queued, or that it is settled; the
	// event's tag, so that a search need not look at the event; the beat since which it
	// waits, see backlog.supersede; and how many
	// events of the same channel directly before it will not be delivered, of which the
	// client is still to be told. At a million a second, those 32 bits last for an hour.
	detail uint64
}

const (
	formatMask  = 1<<3 - 1
	dueBit      = 1 << 3
	policyBits  = 4 // below the policy
	policyMask  = (1<<2 - 1) << policyBits
	conflateBit = uint64(rules.SlowConflate) << policyBits // also of settled events
	settledMask = policyMask                               // no policy has both bits
	tagBits     = policyBits + 2                           // below the tag
	tagMask     = (1<<stream.EventTagBits - 1) << tagBits
	streamMask  = (1<<stream.StreamTagBits - 1) << (tagBits + stream.KeyTagBits)
	beatBits    = tagBits + stream.EventTagBits // below the beat
	beatMask    = 1<<12 - 1
	missingBits = beatBits + 12 // below the number of missing events
)

func newWaiting(e *stream.Event, f stream.Format, policy rules.SlowPolicy, since beat, missing uint64) waiting {
	return waiting{e, missing<<missingBits | uint64(since&beatMask)<<beatBits | uint64(e.Tag)<<tagBits | uint64(policy)<<policyBits | uint64(f)}
}

func (w *waiting) frame() []byte { return w.event.FrameIn(stream.Format(w.detail & formatMask)) }

func (w *waiting) policy() rules.SlowPolicy {
	if w.settled() {
		return rules.SlowConflate
	}
	return rules.SlowPolicy(w.detail & policyMask >> policyBits)
}

// settled tells whether the event stays in the queue although a newer one of its key
// waits, see backlog.supersede.
func (w *waiting) settled() bool { return w.detail&policyMask == settledMask }

// age is for how many beats the event, or its key, has waited.
func (w *waiting) age(now beat) beat { return (now - beat(w.detail>>beatBits)) & beatMask }

// isOf tells whether the event is one of the stream.
func (w *waiting) isOf(st *stream.Stream) bool {
	return w.detail&streamMask == uint64(st.Tag)<<tagBits && w.event.Stream == st
}

func (w *waiting) missing() uint64 { return w.detail >> missingBits }

func (w *waiting) miss(n uint64) { w.detail += n << missingBits }

// told is called when the gap before the event has left. From then on the event is
// due: if it were dropped, a second gap would follow the first.
func (w *waiting) told() { w.detail = w.detail&(1<<missingBits-1) | dueBit }

func (w *waiting) due() bool { return w.detail&dueBit != 0 }

// mayDrop tells whether the event may be dropped to make room, and a gap tell of it.
func (w *waiting) mayDrop() bool {
	return w.policy() != rules.SlowDisconnect && !w.settled() && !w.due()
}

// untold is a gap that no event of its channel follows yet: from the first missing
// event to the last, both included.
type untold struct {
	stream   *stream.Stream
	from, to uint64
}

// half is a frame of which a part has left. Nothing can go before its end.
type half struct {
	rest []byte  // empty: there is none
	of   waiting // the event that rest is of; without an event: a frame of the session's own
	kind ownKind
}

// backlog is what a session's socket has not taken yet. It leaves in this order,
// whatever came first: the end of a frame that is half out; the session's own
// frames, so that neither replies nor control frames wait for events; the events,
// each behind the gap that is to be told before it; the gaps that no event follows
// yet; and last what ends the conversation. A session that keeps up has none.
type backlog struct {
	half   half
	own    mem.Ring[ownFrame]
	events mem.Ring[waiting] // the first is never a removed one
	gaps   []untold          // of different channels, behind all of theirs that waits
	last   []byte            // nothing follows it

	ledger    *ledger
	live      int // events in the queue that were not removed
	droppable struct {
		amount     // in the queue, of channels whose policy drops events, without settled ones
		from   int // no event before this place of the queue may be dropped
	}
	settled  amount        // in the queue
	bytes    int           // that wait, in all, without the gaps
	ownBytes int           // of the session's own that wait
	memory   int           // that the backlog itself takes, see countMemory
	progress time.Duration // when bytes last left; the loop's time
	place    uint32        // of the session in the shard's list of those that lag
	class    uint8         // of its size, see sizeClass
	pinging  bool          // a ping waits
}

// amount is one of events.
type amount struct{ events, bytes int }

// add counts an event of the given size.
func (a *amount) add(size int) { a.events++; a.bytes += size }

// sub no longer counts an event of the given size.
func (a *amount) sub(size int) { a.events--; a.bytes -= size }

// fits tells whether one more event is within the limits for what may be dropped.
func (a *amount) fits(size int, c *settings.Config) bool {
	return a.bytes+size <= c.BacklogBytes && (c.BacklogMessages == 0 || a.events < c.BacklogMessages)
}

// newBacklog makes an empty backlog at a moment of the loop's clock.
func newBacklog(l *ledger, now time.Duration) *backlog {
	b := &backlog{ledger: l, progress: now}
	b.countMemory()
	return b
}

// queue appends events of one channel, as its policy says; sent bytes of them have
// left already.
func (b *backlog) queue(events []*stream.Event, f stream.Format, policy rules.SlowPolicy, sent int, bounds *settings.Config) {
	for _, e := range events {
		size := len(e.FrameIn(f))
		switch {
		case sent >= size:
			sent -= size
		case sent > 0:
			b.pushHalf(e, f, policy, sent)
			sent = 0
		default:
			since := b.ledger.now()
			if policy == rules.SlowConflate {
				since = b.supersede(e, bounds)
			}
			if policy != rules.SlowDisconnect {
				b.makeRoom(size, bounds)
			}
			b.pushEvent(e, f, policy, since)
		}
	}
}

// pushEvent appends an event of a channel with the given policy, which counts as
// waiting since the given beat. A gap that its channel has is told before it.
func (b *backlog) pushEvent(e *stream.Event, f stream.Format, policy rules.SlowPolicy, since beat) {
	if b.live*2 <= b.events.Len() && b.events.Len() == b.events.Cap() {
		b.events.Filter(func(w *waiting) bool { return w.event != nil })
		b.droppable.from = 0
	}
	b.events.Push(newWaiting(e, f, policy, since, b.takeGap(e)))
	b.countMemory()
	b.keep(e)
	size := len(e.FrameIn(f))
	b.live++
	if policy != rules.SlowDisconnect {
		b.droppable.add(size)
	}
	b.add(size)
}

// pushHalf makes an event the frame that is half out, of which sent bytes have
// left. Nothing waits yet.
func (b *backlog) pushHalf(e *stream.Event, f stream.Format, policy rules.SlowPolicy, sent int) {
	b.keep(e)
	b.half = half{rest: e.FrameIn(f)[sent:], of: newWaiting(e, f, policy, b.ledger.now(), 0)}
	b.add(len(b.half.rest))
}

// pushOwn appends a copy of p to the session's own frames. sent bytes of it have
// left already, which can only be if nothing waits.
func (b *backlog) pushOwn(kind ownKind, p []byte, sent int) {
	p = p[sent:]
	switch n := b.own.Len(); {
	case sent > 0:
		b.half = half{rest: slices.Clone(p), kind: kind}
	case n > 0 && kind == ownReply && b.own.At(n-1).joins(p):
		last := b.own.At(n - 1)
		last.bytes = append(last.bytes, p...)
	default:
		b.own.Push(ownFrame{kind, slices.Clone(p)})
	}
	b.pinging = b.pinging || kind == ownPing
	b.addOwn(len(p))
}

// ownJoined is up to how many bytes frames of a session's own are kept together,
// so that very small ones do not cost many times their size.
const ownJoined = 4 << 10

// joins tells whether p may be appended to the frame.
func (f *ownFrame) joins(p []byte) bool {
	return f.kind == ownReply && len(f.bytes)+len(p) <= ownJoined
}

// pushLast has p end the conversation.
func (b *backlog) pushLast(p []byte) {
	b.last = append(b.last, p...)
	b.addOwn(len(p))
}

// keep holds an event for as long as it waits here.
func (b *backlog) keep(e *stream.Event) {
	e.Hold()
	b.ledger.memory.add(e.EnterBacklog())
}

// letGo is the end of keep. The event must not be touched afterwards.
func (b *backlog) letGo(e *stream.Event) {
	b.ledger.memory.add(-e.LeaveBacklog())
	e.Release()
}

// add counts n bytes more, or fewer.
func (b *backlog) add(n int) {
	b.bytes += n
	b.ledger.counters.BacklogBytes += int64(n)
	b.classify()
}

func (b *backlog) addOwn(n int) {
	b.ownBytes += n
	b.ledger.memory.add(int64(n))
	b.add(n)
}

// idle tells whether nothing is left to send.
func (b *backlog) idle() bool {
	return len(b.half.rest) == 0 && b.own.Len() == 0 && b.live == 0 && len(b.gaps) == 0 && len(b.last) == 0
}

// waitingEvents is how many events wait, the one that is half out included.
func (b *backlog) waitingEvents() int {
	if b.half.of.event != nil {
		return b.live + 1
	}
	return b.live
}

// popEvent removes the first event, without counting its bytes or letting go of
// it.
func (b *backlog) popEvent() waiting {
	before := b.events.Len()
	w := b.events.Pop()
	b.uncount(&w)
	for b.events.Len() > 0 && b.events.At(0).event == nil {
		b.events.Pop()
	}
	b.droppable.from = max(b.droppable.from-(before-b.events.Len()), 0)
	b.events.Shrink()
	b.countMemory()
	return w
}

// uncount counts an event as no longer in the queue.
func (b *backlog) uncount(w *waiting) {
	b.live--
	switch {
	case w.settled():
		b.settled.sub(len(w.frame()))
	case w.policy() != rules.SlowDisconnect:
		b.droppable.sub(len(w.frame()))
	}
}

// countMemory counts what the backlog itself takes, beside events and frames.
func (b *backlog) countMemory() {
	n := int(unsafe.Sizeof(backlog{})) + b.events.Cap()*int(unsafe.Sizeof(waiting{})) + cap(b.gaps)*int(unsafe.Sizeof(untold{}))
	if n != b.memory {
		b.setMemory(n)
	}
}

func (b *backlog) setMemory(n int) {
	b.ledger.memory.add(int64(n - b.memory))
	b.memory = n
	b.classify()
}

// oldest is for how long the first event has been on its way, in whole
// milliseconds; 0 if none waits.
func (b *backlog) oldest(now time.Duration) time.Duration {
	switch {
	case b.half.of.event != nil:
		return (now - b.half.of.event.At).Round(time.Millisecond)
	case b.live > 0:
		return (now - b.events.At(0).event.At).Round(time.Millisecond)
	}
	return 0
}

// dropEvents removes all events but one that is half out, whose end the client
// needs to read what follows, and all gaps: for a client that is told by a close
// that it gets no more.
func (b *backlog) dropEvents() {
	for b.live > 0 {
		w := b.popEvent()
		b.add(-len(w.frame()))
		b.letGo(w.event)
	}
	b.gaps = nil
	b.countMemory()
}

// release drops everything.
func (b *backlog) release() {
	b.dropEvents()
	if len(b.half.rest) > 0 {
		b.endHalf()
	}
	b.own, b.last = mem.Ring[ownFrame]{}, nil
	b.addOwn(-b.ownBytes)
	b.events = mem.Ring[waiting]{}
	b.setMemory(0)
}
