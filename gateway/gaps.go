package gateway

import "bytes"

// A subscriber that lags may not get every event, if its channel's policy says so.
// What it does not get is told as a gap. A channel of which events wait has its
// gaps with them, each before the event that follows it; one of which none waits,
// or only one that is due, has at most one, among the backlog's gaps. So there is never more than one
// gap between two events that wait.

// takeGap ends the gap of the event's channel that no event followed so far, and
// returns how many events are missing before this one.
func (b *backlog) takeGap(e *event) (missing uint64) {
	for i := range b.gaps {
		if g := &b.gaps[i]; g.stream == e.stream {
			missing = e.offset - g.from
			last := len(b.gaps) - 1
			b.gaps[i] = b.gaps[last]
			b.gaps = b.gaps[:last]
			return missing
		}
	}
	return 0
}

// missNew has a gap tell of an event that did not get into the queue, in which
// none of its channel is, unless it is due.
func (b *backlog) missNew(e *event) {
	b.tell(e, e.offset)
	b.shard.counters.dropped++
}

// tell has the gap of the event's channel, of which no later event waits, reach
// from the given offset, or an earlier one, to the event's or a later one.
func (b *backlog) tell(e *event, from uint64) {
	for i := range b.gaps {
		if g := &b.gaps[i]; g.stream == e.stream {
			g.from, g.to = min(g.from, from), max(g.to, e.offset)
			return
		}
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
	at := b.find(0, func(w *waiting) bool {
		return w.event.stream == e.stream && bytes.Equal(w.event.key, e.key) && !w.due()
	})
	if at >= 0 {
		b.miss(at)
	}
}

// makeRoom removes the oldest events that may be dropped until one of size bytes
// is within the limits. It tells whether that was to be had.
func (b *backlog) makeRoom(size int, of *settings) bool {
	mayDrop := func(w *waiting) bool {
		return w.event.stream.rulesIn(of).policy != SlowDisconnect && !w.due()
	}
	for !b.hasRoom(size, &of.config) {
		at := b.find(0, mayDrop)
		if at < 0 {
			return false
		}
		b.miss(at)
	}
	return true
}

// crowded tells whether there is an event in the queue beside one that is due.
func (b *backlog) crowded() bool {
	return b.live > 1 || b.live == 1 && !b.events.at(0).due()
}

// hasRoom tells whether an event of size bytes is within the limits.
func (b *backlog) hasRoom(size int, c *Config) bool {
	return b.waitingEvents() < c.BacklogMessages && b.bytes+size <= c.BacklogBytes
}

// forget removes what waits of a channel that the client has left: it is told
// neither the events nor what it missed of them.
func (b *backlog) forget(st *stream) {
	for i := 0; ; i++ {
		if i = b.find(i, func(w *waiting) bool { return w.event.stream == st }); i < 0 {
			break
		}
		b.remove(i)
		if i == 0 {
			i-- // the queue now begins elsewhere
		}
	}
	for i := range b.gaps {
		if b.gaps[i].stream == st {
			last := len(b.gaps) - 1
			b.gaps[i] = b.gaps[last]
			b.gaps = b.gaps[:last]
			return
		}
	}
}
