package backlog

import (
	"bytes"
	"time"

	"fleetcast/gateway/rules"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stream"
)

// A subscriber that lags may not get every event, if its channel's policy says so. A
// gap tells what it does not get. The gaps of a channel are kept with its waiting
// events, each before the event that follows it. A gap that no event follows yet is in
// the list of the backlog's gaps, at most one for each channel. So there is never more
// than one gap between two events that wait.

// gapOf is the place of a channel's gap among the backlog's gaps, or -1.
func (b *Backlog) gapOf(st *stream.Stream) int {
	for i := range b.gaps {
		if b.gaps[i].stream == st {
			return i
		}
	}
	return -1
}

// cutGap removes the gap at i. The last one takes its place.
func (b *Backlog) cutGap(i int) {
	last := len(b.gaps) - 1
	b.gaps[i] = b.gaps[last]
	b.gaps = b.gaps[:last]
}

// takeGap ends the gap of the event's channel that no event followed so far, and
// returns how many events are missing before this one.
func (b *Backlog) takeGap(e *stream.Event) (missing uint64) {
	i := b.gapOf(e.Stream)
	if i < 0 {
		return 0
	}
	missing = e.Offset - b.gaps[i].from
	b.cutGap(i)
	return missing
}

// tell extends the gap of the event's channel to reach from the given offset to the
// event's offset. No later event of the channel may wait.
func (b *Backlog) tell(e *stream.Event, from uint64) {
	if i := b.gapOf(e.Stream); i >= 0 {
		g := &b.gaps[i]
		g.from, g.to = min(g.from, from), max(g.to, e.Offset)
		return
	}
	b.gaps = append(b.gaps, untold{e.Stream, from, e.Offset})
	b.countMemory()
}

// miss removes the event at i of the queue, and adds it to a gap.
func (b *Backlog) miss(i int) {
	w := *b.events.At(i)
	e := w.event
	if next := b.find(i+1, func(other *waiting) bool { return other.isOf(e.Stream) }); next >= 0 {
		b.events.At(next).miss(w.missing() + 1)
	} else {
		b.tell(e, e.Offset-w.missing())
	}
	b.ledger.Counters.Dropped++
	b.remove(i)
}

// remove takes the event at i out of the queue.
func (b *Backlog) remove(i int) {
	w := *b.events.At(i)
	if i == 0 {
		b.popEvent()
	} else {
		*b.events.At(i) = waiting{}
		b.uncount(&w)
	}
	b.add(-len(b.frame(&w)))
	b.letGo(w.event)
}

// find returns the place of the first event from the one at i on for which is
// holds, or -1.
func (b *Backlog) find(i int, is func(*waiting) bool) int {
	for ; i < b.events.Len(); i++ {
		if w := b.events.At(i); w.event != nil && is(w) {
			return i
		}
	}
	return -1
}

// conflateWithin is how many places of the queue, from its end, are searched for the
// event that a new one replaces. If a client has very many events of other channels in
// between, an older event of the key is delivered too.
const conflateWithin = 4096

// settleAfter is for how many beats the waiting values of a key may be replaced before
// one of them stays.
const settleAfter = Beat(500 * time.Millisecond / settings.BeatLength)

// supersede removes the event that e replaces: the one of the same channel with the
// same key, or without a key if e has none. It returns since when e counts as waiting.
//
// A value that replaces another goes to the end of the queue. So a key that is replaced
// faster than the queue empties would never leave. Therefore a value counts as waiting
// since the first value that it stands for. When that is longer than settleAfter ago,
// the value is settled: it stays, and only the one behind it is replaced. Settled
// events have limits of their own, as large as those of the newest values, and take no
// room from them.
func (b *Backlog) supersede(e *stream.Event, c *settings.Config) (since Beat) {
	now := b.ledger.Now()
	want := uint64(e.Tag)<<tagBits | conflateBit
	settled := false // is one of the key
	for i := max(b.events.Len()-conflateWithin, 0); i < b.events.Len(); i++ {
		w := b.events.At(i)
		if w.detail&(tagMask|conflateBit|dueBit) != want || w.event == nil {
			continue
		}
		if w.event.Stream != e.Stream || !bytes.Equal(w.event.Key, e.Key) {
			continue
		}
		age := w.age(now)
		switch {
		case w.settled():
			settled = true
			continue
		case age > settleAfter && !settled && b.settle(w, c):
			return now
		}
		b.miss(i)
		return now - age
	}
	return now
}

// settle makes the event stay until it leaves, if there is room for one more settled
// event.
func (b *Backlog) settle(w *waiting, c *settings.Config) bool {
	size := len(b.frame(w))
	if !b.settled.fits(size, c) {
		return false
	}
	b.droppable.sub(size)
	b.settled.add(size)
	w.detail |= settledMask
	return true
}

// makeRoom drops the oldest events that may be dropped until one of size bytes
// is within the limits for those, or none is left.
func (b *Backlog) makeRoom(size int, c *settings.Config) {
	d := &b.droppable
	for d.events > 0 && !d.fits(size, c) {
		if d.from = b.find(d.from, (*waiting).mayDrop); d.from < 0 {
			d.from = b.events.Len()
			break
		}
		b.miss(d.from)
	}
}

// Before is the offset that comes before the first event or gap of a channel that waits, and
// false if none does. The frame that is half sent does not wait: a frame of the session's own
// goes behind it.
func (b *Backlog) Before(st *stream.Stream) (offset uint64, waits bool) {
	b.ledger.Scanned += b.events.Len()
	if i := b.find(0, func(w *waiting) bool { return w.isOf(st) }); i >= 0 {
		w := b.events.At(i)
		return w.event.Offset - w.missing() - 1, true
	}
	if i := b.gapOf(st); i >= 0 {
		return b.gaps[i].from - 1, true
	}
	return 0, false
}

// Forget removes the waiting events and gaps of a channel from which the client has
// unsubscribed.
func (b *Backlog) Forget(st *stream.Stream) {
	b.ledger.Scanned += b.events.Len()
	for i := 0; ; i++ {
		if i = b.find(i, func(w *waiting) bool { return w.isOf(st) }); i < 0 {
			break
		}
		b.remove(i)
		if i == 0 {
			i-- // the queue now begins elsewhere
		}
	}
	if i := b.gapOf(st); i >= 0 {
		b.cutGap(i)
	}
}

// DropStale drops the events that have waited for more than limit beats, if they may be
// dropped. tooLate tells that one has waited so long that may not be dropped. The age
// of conflated events does not count, because each is the newest of its key. looked is
// how many events it looked at.
func (b *Backlog) DropStale(now, limit Beat) (tooLate bool, looked int) {
	isLate := func(w *waiting) bool { return w.event != nil && w.age(now) > limit }
	if h := &b.half.of; isLate(h) && h.policy() == rules.SlowDisconnect {
		return true, 0
	}
	for i := 0; i < b.events.Len(); looked++ {
		w := b.events.At(i)
		switch {
		case w.event == nil:
			i++
		case !isLate(w):
			return false, looked
		case w.policy() == rules.SlowDisconnect:
			return true, looked
		case w.policy() == rules.SlowDropOldest && !w.due():
			b.miss(i) // at the front, this moves the queue; else it leaves an empty place
		default:
			i++
		}
	}
	return false, looked
}
