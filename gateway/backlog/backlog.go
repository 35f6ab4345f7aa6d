package backlog

import (
	"slices"
	"time"
	"unsafe"

	"fleetcast/gateway/mem"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
)

// RepliesHeld is how much in replies may wait for a client before its commands are
// no longer read, in bytes.
const RepliesHeld = 64 << 10

// OwnKind tells what happens when a frame of the session's own has left.
type OwnKind uint8

const (
	OwnReply OwnKind = iota // replies, control frames: nothing
	OwnPing                 // the pong is due from then on
)

// ownFrame is one frame, or several whole ones, for this session alone.
type ownFrame struct {
	kind  OwnKind
	bytes []byte
}

// waiting is an event that waits in a backlog: a reference to the event that all shards
// and backlogs share. There may be very many of them, so it has 16 bytes.
type waiting struct {
	event *stream.Event // nil: it was removed from the midst of the queue
	// detail has, from the low bits on: whether the event's frame is in the session's
	// own format or in the one that is not compressed; whether it is due; the policy
	// that its channel had when it was queued, or that it is settled; the event's tag,
	// so that a search need not look at the event; the beat since which it waits, see
	// backlog.supersede; and how many events of the same channel directly before it
	// were dropped and must still be told to the client. At a million events a second,
	// these 34 bits last for hours.
	detail uint64
}

const (
	formatBit   = 1 // set: the session's own format
	dueBit      = 1 << 1
	policyBits  = 2 // below the policy
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

func (b *Backlog) newWaiting(e *stream.Event, f stream.Format, policy rules.SlowPolicy, since Beat, missing uint64) waiting {
	detail := missing<<missingBits | uint64(since&beatMask)<<beatBits | uint64(e.Tag)<<tagBits | uint64(policy)<<policyBits
	if f == b.format {
		detail |= formatBit
	}
	return waiting{e, detail}
}

// frame is the event's, as it goes to the client.
func (b *Backlog) frame(w *waiting) []byte {
	f := b.format
	if w.detail&formatBit == 0 {
		f = b.ledger.Formats.Plain(f)
	}
	return w.event.FrameIn(f)
}

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
func (w *waiting) age(now Beat) Beat { return (now - Beat(w.detail>>beatBits)) & beatMask }

// isOf tells whether the event is one of the stream.
func (w *waiting) isOf(st *stream.Stream) bool {
	return w.detail&streamMask == uint64(st.Tag)<<tagBits && w.event.Stream == st
}

func (w *waiting) missing() uint64 { return w.detail >> missingBits }

func (w *waiting) miss(n uint64) { w.detail += n << missingBits }

// told is called when the gap before the event has left. From then on the event is due
// and is not dropped: otherwise a second gap would follow the first.
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

// half is a frame of which a part was sent. Nothing can be sent before its rest.
type half struct {
	rest []byte  // empty: there is none
	of   waiting // the event that rest is of; without an event: a frame of the session's own
	kind OwnKind
}

// Backlog is what a session's socket has not taken yet. It is sent in this order,
// whatever came first: the rest of a frame that is half sent; the session's own frames,
// so that neither replies nor control frames wait for events; the events, each behind
// the gap that must be told before it; the gaps that no event follows yet; and last the
// bytes that end the conversation. A session that keeps up has no backlog.
type Backlog struct {
	half   half
	own    mem.Ring[ownFrame]
	events mem.Ring[waiting] // the first one was never removed
	gaps   []untold          // of different channels, behind all of theirs that waits
	last   []byte            // nothing follows it

	ledger    *Ledger
	live      int // events in the queue that were not removed
	droppable struct {
		amount     // in the queue, of channels whose policy drops events, without settled ones
		from   int // no event before this place of the queue may be dropped
	}
	settled  amount        // in the queue
	Bytes    int           // that wait, in all, without the gaps
	OwnBytes int           // of the session's own that wait
	memory   int           // that the backlog itself takes, see countMemory
	Progress time.Duration // when bytes last left; the loop's time
	Place    uint32        // of the session in the shard's list of those that lag
	format   stream.Format // of the session's events
	Class    uint8         // of its size, see sizeClass
	Pinging  bool          // a ping waits
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

// New makes an empty backlog of a session whose events have that format, at a moment of
// the loop's clock.
func New(l *Ledger, f stream.Format, now time.Duration) *Backlog {
	b := &Backlog{ledger: l, format: f, Progress: now}
	b.countMemory()
	return b
}

// Queue appends events of one channel, by its policy, in the session's format or in the
// one of the same dialect that is not compressed. The first sent bytes of them have
// left already.
func (b *Backlog) Queue(events []*stream.Event, f stream.Format, policy rules.SlowPolicy, sent int, bounds *settings.Config) {
	for _, e := range events {
		size := len(e.FrameIn(f))
		switch {
		case sent >= size:
			sent -= size
		case sent > 0:
			b.pushHalf(e, f, policy, sent)
			sent = 0
		default:
			since := b.ledger.Now()
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
// waiting since the given beat. If its channel has a gap, the gap is told before it.
func (b *Backlog) pushEvent(e *stream.Event, f stream.Format, policy rules.SlowPolicy, since Beat) {
	if b.live*2 <= b.events.Len() && b.events.Len() == b.events.Cap() {
		b.events.Filter(func(w *waiting) bool { return w.event != nil })
		b.droppable.from = 0
	}
	b.events.Push(b.newWaiting(e, f, policy, since, b.takeGap(e)))
	b.countMemory()
	b.keep(e)
	size := len(e.FrameIn(f))
	b.live++
	if policy != rules.SlowDisconnect {
		b.droppable.add(size)
	}
	b.add(size)
}

// pushHalf makes an event the frame that is half sent. sent bytes of it have left, and
// nothing else waits yet.
func (b *Backlog) pushHalf(e *stream.Event, f stream.Format, policy rules.SlowPolicy, sent int) {
	b.keep(e)
	b.half = half{rest: e.FrameIn(f)[sent:], of: b.newWaiting(e, f, policy, b.ledger.Now(), 0)}
	b.add(len(b.half.rest))
}

// PushOwn appends a copy of p to the session's own frames. sent bytes of it have
// left already, which can only be if nothing waits.
func (b *Backlog) PushOwn(kind OwnKind, p []byte, sent int) {
	p = p[sent:]
	switch n := b.own.Len(); {
	case sent > 0:
		b.half = half{rest: slices.Clone(p), kind: kind}
	case n > 0 && kind == OwnReply && b.own.At(n-1).joins(p):
		last := b.own.At(n - 1)
		last.bytes = append(last.bytes, p...)
	default:
		b.own.Push(ownFrame{kind, slices.Clone(p)})
	}
	b.Pinging = b.Pinging || kind == OwnPing
	b.addOwn(len(p))
}

// ownJoined is how many bytes of a session's own frames are kept in one entry, so that
// very small frames do not cost many times their size.
const ownJoined = 4 << 10

// joins tells whether p may be appended to the frame.
func (f *ownFrame) joins(p []byte) bool {
	return f.kind == OwnReply && len(f.bytes)+len(p) <= ownJoined
}

// PushLast makes p the last bytes of the conversation.
func (b *Backlog) PushLast(p []byte) {
	b.last = append(b.last, p...)
	b.addOwn(len(p))
}

// keep holds an event for as long as it waits here.
func (b *Backlog) keep(e *stream.Event) {
	e.Hold()
	b.ledger.Memory.add(e.EnterBacklog())
}

// letGo is the end of keep. The event must not be touched afterwards.
func (b *Backlog) letGo(e *stream.Event) {
	b.ledger.Memory.add(-e.LeaveBacklog())
	e.Release()
}

// add counts n bytes more, or fewer.
func (b *Backlog) add(n int) {
	b.Bytes += n
	b.ledger.Counters.BacklogBytes += int64(n)
	b.classify()
}

func (b *Backlog) addOwn(n int) {
	b.OwnBytes += n
	b.ledger.Memory.add(int64(n))
	b.add(n)
}

// Idle tells whether nothing is left to send.
func (b *Backlog) Idle() bool {
	return len(b.half.rest) == 0 && b.own.Len() == 0 && b.live == 0 && len(b.gaps) == 0 && len(b.last) == 0
}

// WaitingEvents is how many events wait, the one that is half out included.
func (b *Backlog) WaitingEvents() int {
	if b.half.of.event != nil {
		return b.live + 1
	}
	return b.live
}

// popEvent removes the first event, without counting its bytes or letting go of
// it.
func (b *Backlog) popEvent() waiting {
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
func (b *Backlog) uncount(w *waiting) {
	b.live--
	switch {
	case w.settled():
		b.settled.sub(len(b.frame(w)))
	case w.policy() != rules.SlowDisconnect:
		b.droppable.sub(len(b.frame(w)))
	}
}

// countMemory counts what the backlog itself takes, beside events and frames.
func (b *Backlog) countMemory() {
	n := int(unsafe.Sizeof(Backlog{})) + b.events.Cap()*int(unsafe.Sizeof(waiting{})) + cap(b.gaps)*int(unsafe.Sizeof(untold{}))
	if n != b.memory {
		b.setMemory(n)
	}
}

func (b *Backlog) setMemory(n int) {
	b.ledger.Memory.add(int64(n - b.memory))
	b.memory = n
	b.classify()
}

// Oldest is for how long the first event has been on its way, in whole
// milliseconds; 0 if none waits.
func (b *Backlog) Oldest(now time.Duration) time.Duration {
	switch {
	case b.half.of.event != nil:
		return (now - b.half.of.event.At).Round(time.Millisecond)
	case b.live > 0:
		return (now - b.events.At(0).event.At).Round(time.Millisecond)
	}
	return 0
}

// Channel is that of the event that waits longest, empty if none waits.
func (b *Backlog) Channel() string {
	if b.live == 0 {
		return ""
	}
	return b.events.At(0).event.Stream.Name
}

// DropEvents removes all gaps and all events, except one that is half sent: the client
// needs its rest to read what follows. It is for a client that learns from a close
// frame that it gets no more.
func (b *Backlog) DropEvents() {
	for b.live > 0 {
		w := b.popEvent()
		b.add(-len(b.frame(&w)))
		b.letGo(w.event)
	}
	b.gaps = nil
	b.countMemory()
}

// Release drops everything.
func (b *Backlog) Release() {
	b.DropEvents()
	if len(b.half.rest) > 0 {
		b.endHalf()
	}
	b.own, b.last = mem.Ring[ownFrame]{}, nil
	b.addOwn(-b.OwnBytes)
	b.events = mem.Ring[waiting]{}
	b.setMemory(0)
}
