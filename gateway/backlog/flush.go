package backlog

import (
	"slices"

	"fleetcast/gateway/stream"
)

const (
	// FlushVectors is how many frames one send takes from a backlog.
	FlushVectors = 64
	// FlushPerTurn bounds in bytes what one session sends per turn, so that a
	// large backlog does not hold up the others.
	FlushPerTurn = 256 << 10
)

// How a backlog is sent: Vectors returns what is next, and Took is called with how much
// of that the socket has taken.

// Vectors fills dst with what waits, in order. The text of gaps is made in
// scratch.
func (b *Backlog) Vectors(dst [][]byte, scratch *[]byte) [][]byte {
	*scratch = (*scratch)[:0]
	if len(b.half.rest) > 0 {
		dst = append(dst, b.half.rest)
	}
	for i := 0; i < b.own.Len() && len(dst) < FlushVectors; i++ {
		dst = append(dst, b.own.At(i).bytes)
	}
	for i := 0; i < b.events.Len() && len(dst) < FlushVectors; i++ {
		w := b.events.At(i)
		if w.event == nil {
			continue
		}
		if n := w.missing(); n > 0 {
			dst = append(dst, b.appendGap(scratch, w.event.Stream, w.event.Offset-n, w.event.Offset-1))
		}
		if len(dst) < FlushVectors {
			dst = append(dst, b.frame(w))
		}
	}
	for i := len(b.gaps) - 1; i >= 0 && len(dst) < FlushVectors; i-- {
		g := &b.gaps[i]
		dst = append(dst, b.appendGap(scratch, g.stream, g.from, g.to))
	}
	if len(b.last) > 0 && len(dst) < FlushVectors {
		dst = append(dst, b.last)
	}
	return dst
}

// appendGap appends the frame of a gap to scratch and returns it.
func (b *Backlog) appendGap(scratch *[]byte, st *stream.Stream, from, to uint64) []byte {
	start := len(*scratch)
	*scratch = b.ledger.Formats.Dialect(b.format).AppendGap(*scratch, st.Name, from, to)
	return (*scratch)[start:]
}

// Took removes n bytes of what vectors has just returned, and tells whether a
// ping has left with them.
func (b *Backlog) Took(n int, vectors [][]byte) (pinged bool) {
	for _, v := range vectors {
		if n < len(v) {
			if n > 0 {
				b.split(n, v[n:])
			}
			break
		}
		n -= len(v)
		pinged = b.left(len(v)) || pinged
	}
	return pinged
}

// unit is a kind of entry that Vectors returns.
type unit uint8

const (
	unitNone   unit = iota
	unitHalf        // the rest of the frame that is half sent
	unitOwn         // a frame of the session's own
	unitGap         // the gap before the first event
	unitEvent       // the first event
	unitUntold      // the last gap in the list of those
	unitLast        // the bytes that end the conversation
)

// next is what leaves next.
func (b *Backlog) next() unit {
	switch {
	case len(b.half.rest) > 0:
		return unitHalf
	case b.own.Len() > 0:
		return unitOwn
	case b.live > 0 && b.events.At(0).missing() > 0:
		return unitGap
	case b.live > 0:
		return unitEvent
	case len(b.gaps) > 0:
		return unitUntold
	case len(b.last) > 0:
		return unitLast
	}
	return unitNone
}

// left removes the next entry, whose n bytes have all left.
func (b *Backlog) left(n int) (pinged bool) {
	switch b.next() {
	case unitHalf:
		return b.endHalf()
	case unitOwn:
		f := b.own.Pop()
		b.addOwn(-n)
		return b.saw(f.kind)
	case unitGap:
		b.events.At(0).told()
		b.ledger.Counters.Gaps++
	case unitEvent:
		w := b.popEvent()
		b.add(-n)
		b.letGo(w.event)
	case unitUntold:
		b.gaps = b.gaps[:len(b.gaps)-1]
		b.ledger.Counters.Gaps++
	case unitLast:
		b.last = nil
		b.addOwn(-n)
	}
	return false
}

// split makes the next entry the frame that is half sent: n bytes have left, rest has
// not.
func (b *Backlog) split(n int, rest []byte) {
	switch b.next() {
	case unitHalf:
		b.half.rest = rest
		b.takeHalf(n)
	case unitOwn:
		f := b.own.Pop()
		b.half = half{rest: rest, kind: f.kind}
		b.addOwn(-n)
	case unitEvent:
		w := b.popEvent()
		b.half = half{rest: rest, of: w}
		b.add(-n)
	case unitGap, unitUntold:
		b.left(0)
		b.half = half{rest: slices.Clone(rest)} // it lies in scratch
		b.addOwn(len(rest))
	case unitLast:
		b.half, b.last = half{rest: rest}, nil
		b.addOwn(-n)
	}
}

// takeHalf counts n bytes of the frame that is half sent as gone.
func (b *Backlog) takeHalf(n int) {
	if b.half.of.event != nil {
		b.add(-n)
	} else {
		b.addOwn(-n)
	}
}

// endHalf removes the frame that is half sent.
func (b *Backlog) endHalf() (pinged bool) {
	h := b.half
	b.takeHalf(len(h.rest))
	b.half = half{}
	if h.of.event != nil {
		b.letGo(h.of.event)
	}
	return b.saw(h.kind)
}

// saw is called with the kind of each frame that leaves.
func (b *Backlog) saw(kind OwnKind) (pinged bool) {
	if kind != OwnPing {
		return false
	}
	b.Pinging = false
	return true
}
