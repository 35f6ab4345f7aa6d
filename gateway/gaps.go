package gateway

import "bytes"

// A subscriber that lags may not get every event, if its channel's policy says so.
// What it does not get is told as a gap. The gaps of a channel are with its events
// that wait, each before the event that follows it; one that no event follows yet
// is among the backlog's gaps, at most one for each channel. So there is never more
// than one gap between two events that wait.

// gapOf is the place of a channel's gap among the backlog's gaps, or -1.
func (b *backlog) gapOf(st *stream) int {
	for i := range b.gaps {
		if b.gaps[i].stream == st {
			return i
		}
	}
	return -1
}

// cutGap removes the gap at i. The last one takes its place.
func (b *backlog) cutGap(i int) {
	last := len(b.gaps) - 1
	b.gaps[i] = b.gaps[last]
	b.gaps = b.gaps[:last]
}

// takeGap ends the gap of the event's channel that no event followed so far, and
// returns how many events are missing before this one.
func (b *backlog) takeGap(e *event) (missing uint64) {
	i := b.gapOf(e.stream)
	if i < 0 {
		return 0
	}
	missing = e.offset - b.gaps[i].from
	b.cutGap(i)
	return missing
}

// missNew has a gap tell of an event that did not get into the queue.
func (b *backlog) missNew(e *event) {
	b.tell(e, e.offset)
	b.shard.counters.dropped++
}

// tell has the gap of the event's channel, of which no later event waits, reach
// from the given offset, or an earlier one, to the event's or a later one.
func (b *backlog) tell(e *event, from uint64) {
	if i := b.gapOf(e.stream); i >= 0 {
		g := &b.gaps[i]
		g.from, g.to = min(g.from, from), max(g.to, e.offset)
		return
	}
	b.gaps = append(b.gaps, untold{e.stream, from, e.offset})
}

// miss removes the event at i of the queue and has a gap tell of it.
func (b *backlog) miss(i int) {
	w := *b.events.at(i)
	e := w.event
	if next := b.find(i+1, func(other *waiting) bool { return other.event.stream == e.stream }); next >= 0 {
		b.events.at(next).miss(w.missing() + 1)
	} else {
		b.tell(e, e.offset-w.missing())
	}
	b.shard.counters.dropped++
	b.remove(i)
}

// remove takes the event at i out of the queue.
func (b *backlog) remove(i int) {
	w := *b.events.at(i)
	if i == 0 {
		b.popEvent()
	} else {
		*b.events.at(i) = waiting{}
		b.live--
	}
	b.add(-len(w.frame()))
	b.letGo(w.event)
}

// find returns the place of the first event from the one at i on for which is
// holds, or -1.
func (b *backlog) find(i int, is func(*waiting) bool) int {
	for ; i < b.events.len(); i++ {
		if w := b.events.at(i); w.event != nil && is(w) {
			return i
		}
	}
	return -1
}

// supersede removes the event that e takes the place of: that of the same
// channel with the same key, or without one as e is.
func (b *backlog) supersede(e *event) {
	tag := uint64(e.tag) << tagBits
	for i := range b.events.len() {
		w := b.events.at(i)
		if w.detail&(tagMask|dueBit) != tag || w.event == nil {
			continue
		}
		if w.event.stream == e.stream && bytes.Equal(w.event.key, e.key) {
			b.miss(i)
			return
		}
	}
}

// makeRoom removes the oldest events that may be dropped until one of size bytes
// is within the limits, and none if that is not to be had. always is for one that
// may be of any size if it is alone. It tells whether there is room.
func (b *backlog) makeRoom(size int, of *settings, always bool) bool {
	mayDrop := func(w *waiting) bool {
		return w.event.stream.rulesIn(of).policy != SlowDisconnect && !w.due()
	}
	events, bytes := b.waitingEvents(), b.bytes+size
	drops := 0
	for at := 0; events >= of.config.BacklogMessages || bytes > of.config.BacklogBytes; at++ {
		if at = b.find(at, mayDrop); at < 0 {
			if !always || drops < b.crowd() {
				return false
			}
			break
		}
		events--
		bytes -= len(b.events.at(at).frame())
		drops++
	}
	for range drops {
		b.miss(b.find(0, mayDrop))
	}
	return true
}

// crowd is how many events are in the queue beside one that is due.
func (b *backlog) crowd() int {
	if b.live > 0 && b.events.at(0).due() {
		return b.live - 1
	}
	return b.live
}

// forget removes what waits of a channel that the client has left: it is told
// neither the events nor what it missed of them.
func (b *backlog) forget(st *stream) {
	b.shard.scanned += b.events.len()
	for i := 0; ; i++ {
		if i = b.find(i, func(w *waiting) bool { return w.event.stream == st }); i < 0 {
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
