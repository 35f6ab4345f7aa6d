package loadtest

import "slices"

// maxHoles bounds what a subscriber remembers of missing events, in runs of consecutive
// ones. Beyond that, the oldest run counts as lost. If one of its events still arrives,
// it counts as duplicated.
const maxHoles = 1024

// sequence is what one subscriber has got of its channel, whose events are
// counted by index from 0. It is pure data.
type sequence struct {
	next  int64  // the index that is to come next
	told  int64  // where the latest gap ended; 0: the server has told of none
	holes *holes // nil as long as nothing was ever missing
	// untaken counts the indices of a span that the server did not take, so that they
	// cannot be lost; nil: there are none.
	untaken func(span) int64
}

// holes are the indices below next that have not arrived.
type holes struct {
	spans   []span // ascending and disjoint
	givenUp int64  // indices dropped from spans for want of room
}

// span is a run of indices: from, from+1, ... to-1.
type span struct{ from, to int64 }

func (s span) size() int64 { return max(s.to-s.from, 0) }

// arrival says how an event fits in with those before it.
type arrival uint8

const (
	arrivalFresh    arrival = iota // later than all before it
	arrivalLate                    // missing until now: it came out of order
	arrivalRepeated                // it had arrived before
)

// take notes the arrival of index. skipped are those that must have come before
// it and did not.
func (q *sequence) take(index int64) (a arrival, skipped span) {
	if index >= q.next {
		skipped = span{q.next, index}
		q.miss(skipped)
		q.next = index + 1
		return arrivalFresh, skipped
	}
	if q.fill(span{index, index + 1}) == 1 {
		return arrivalLate, span{}
	}
	return arrivalRepeated, span{}
}

// gapFault is what is wrong with a gap.
type gapFault uint8

const (
	gapRight gapFault = iota
	gapSplit          // it follows another gap without an event between the two
	gapWrong          // it tells of nothing, or of what has come or was told of, or comes too late
)

// tell notes that the server has told of a gap: events which it will not send.
// told is how many of them had not arrived; passed are the indices that need
// not be waited for any more.
func (q *sequence) tell(gap span) (told int64, passed span, fault gapFault) {
	switch {
	case gap.size() == 0:
		return 0, span{}, gapWrong
	case gap.from < q.next:
		fault = gapWrong
	case q.told > 0 && q.told == q.next:
		fault = gapSplit
	}
	told = q.fill(span{gap.from, min(gap.to, q.next)})
	if gap.to <= q.next {
		return told, span{}, fault
	}
	passed = span{q.next, gap.to}
	begin := max(gap.from, q.next)
	q.miss(span{q.next, begin})
	q.next, q.told = gap.to, gap.to
	return told + gap.to - begin, passed, fault
}

// resumeAt makes index the next one, whatever has come, and forgets gaps that were
// told. found is how many missing events must come again.
func (q *sequence) resumeAt(index int64) (found int64) {
	index = max(index, 0)
	found = q.fill(span{index, q.next})
	q.next, q.told = index, 0
	return found
}

// missing is how many indices below next have not arrived.
func (q *sequence) missing() int64 { return q.holesBy(span.size) }

// lostIn is how many of the indices of s that are below next have not arrived, although the
// server took them.
func (q *sequence) lostIn(s span) (count int64) {
	if q.holes == nil {
		return 0
	}
	for _, hole := range q.holes.spans {
		count += q.taken(span{max(hole.from, s.from), min(hole.to, s.to)})
	}
	return count
}

// lost is how many of the indices below next never arrived, although the server took
// them.
func (q *sequence) lost() int64 { return q.holesBy(q.taken) }

// holesBy is what was given up, and what size says of each hole.
func (q *sequence) holesBy(size func(span) int64) (count int64) {
	if q.holes == nil {
		return 0
	}
	count = q.holes.givenUp
	for _, s := range q.holes.spans {
		count += size(s)
	}
	return count
}

// ahead is how many of the first published indices are still to come.
func (q *sequence) ahead(published int64) int64 { return q.taken(span{q.next, published}) }

// taken is how many indices of s the server took.
func (q *sequence) taken(s span) int64 {
	if q.untaken == nil || s.size() == 0 {
		return s.size()
	}
	return s.size() - q.untaken(s)
}

// firstLost returns the lowest index that never arrived, although the server took it.
func (q *sequence) firstLost() int64 { return q.firstLostFrom(0) }

// firstLostFrom returns the lowest one that is not below an index.
func (q *sequence) firstLostFrom(from int64) int64 {
	if q.holes != nil {
		for _, s := range q.holes.spans {
			for index := max(s.from, from); index < s.to; index++ {
				if q.taken(span{index, index + 1}) > 0 {
					return index
				}
			}
		}
	}
	return max(q.next, from)
}

// miss adds indices at or above next.
func (q *sequence) miss(s span) {
	if s.size() == 0 {
		return
	}
	if q.holes == nil {
		q.holes = new(holes)
	}
	h := q.holes
	if len(h.spans) == maxHoles {
		h.givenUp += q.taken(h.spans[0])
		h.spans = slices.Delete(h.spans, 0, 1)
	}
	h.spans = append(h.spans, s)
}

// fill removes the indices of s from the holes and returns how many there were.
func (q *sequence) fill(s span) (filled int64) {
	if q.holes == nil || s.size() == 0 {
		return 0
	}
	h := q.holes
	for i := 0; i < len(h.spans); i++ {
		hole := h.spans[i]
		common := span{max(hole.from, s.from), min(hole.to, s.to)}
		if common.size() == 0 {
			continue
		}
		filled += common.size()
		before, after := span{hole.from, common.from}, span{common.to, hole.to}
		switch {
		case before.size() > 0 && after.size() > 0:
			h.spans[i] = before
			h.spans = slices.Insert(h.spans, i+1, after)
			i++
		case before.size() > 0:
			h.spans[i] = before
		case after.size() > 0:
			h.spans[i] = after
		default:
			h.spans = slices.Delete(h.spans, i, i+1)
			i--
		}
	}
	return filled
}
