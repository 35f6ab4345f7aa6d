package stream

import (
	"math/bits"
	"slices"
	"time"

	"fleetcast/codec/command"
)

const (
	// DefaultPage is how many events a page has at most if the query does not say.
	DefaultPage = 100
	// MaxPageBytes is how many bytes the data of a page's events has at most. A page of one
	// event may have more.
	MaxPageBytes = 256 << 10
)

// PageQuery says which part of a channel's history is asked for: the events behind a position,
// or those right before an offset, or else the latest ones.
type PageQuery struct {
	Since    command.Since // if HasSince; one of another epoch is before all events
	HasSince bool
	Before   uint64 // 0: not given
	Limit    int    // how many events at most, up to command.MaxHistory; 0: DefaultPage
}

// Page makes p the part of the history of the channel of that name that is asked for, at a time
// of the loops' clock. The events are in order, without a gap between them. Their data is in
// scratch, which grows if it must; p and scratch are used again. The result is the epoch, and
// whether there is such a channel. passed is how many events were passed on the way to those of
// the page. It counts as a use of the history. The stripe's lock is held while it looks at up to
// command.MaxHistory events and those that it passes, and copies the page.
func (s *Streams) Page(name []byte, q PageQuery, now time.Duration, p *command.Page, scratch *[]byte) (epoch Epoch, passed int, ok bool) {
	for {
		p.Events = p.Events[:0]
		var in span
		epoch, in, ok = s.tryPage(name, &q, now, p, *scratch)
		count, size := in.count, in.size
		passed += in.passed
		if count <= cap(p.Events) && size <= cap(*scratch) {
			return epoch, passed, ok
		}
		// The memory is allocated without the lock. Meanwhile a channel may get events, so
		// the page may be larger the next time.
		p.Events = slices.Grow(p.Events, count)
		if size > cap(*scratch) {
			*scratch = make([]byte, 0, 1<<bits.Len(uint(size-1)))
		}
	}
}

// tryPage is Page if p and scratch have room for what it returns. Otherwise p has no events.
func (s *Streams) tryPage(name []byte, q *PageQuery, now time.Duration, p *command.Page, scratch []byte) (epoch Epoch, in span, ok bool) {
	stripe := s.stripe(name)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	st := stripe.byName[string(name)]
	if st == nil {
		p.Latest, p.More = 0, false
		return Epoch{}, span{}, false
	}
	st.logUsed = true
	oldest := s.firstKept(st, 1, now)
	if q.HasSince {
		in = s.spanSince(st, q, oldest)
	} else {
		in = s.spanBefore(st, q, oldest)
	}
	if oldest <= st.Offset {
		in.passed += st.log.Passed(oldest) // those that are too old
	}
	p.Latest, p.More = st.Offset, in.more
	if in.count > 0 && in.count <= cap(p.Events) && in.size <= cap(scratch) {
		st.log.Copy(&s.history.memory, in.first, in.last(), scratch[:0], func(offset uint64, data []byte) {
			p.Events = append(p.Events, command.PageEvent{Offset: offset, Data: data})
		})
	}
	return st.epoch, in, true
}

// span is what a page has.
type span struct {
	first  uint64
	count  int
	size   int // of the events' data, in bytes
	more   bool
	passed int // events, on the way to these
}

func (in *span) last() uint64 { return in.first + uint64(in.count) - 1 }

// limit is how many events q asks for at most.
func (q *PageQuery) limit() uint64 {
	if q.Limit <= 0 {
		return DefaultPage
	}
	return uint64(min(q.Limit, command.MaxHistory))
}

// spanSince is the page behind a position. The caller holds the stripe's lock.
func (s *Streams) spanSince(st *Stream, q *PageQuery, oldest uint64) span {
	first := oldest
	if string(q.Since.Epoch) == string(st.epoch[:]) {
		first = max(first, q.Since.Offset+1)
	}
	if first > st.Offset {
		return span{}
	}
	last, size := st.log.FitFirst(&s.history.memory, first, min(st.Offset, first+q.limit()-1), MaxPageBytes)
	return span{first, int(last + 1 - first), size, last < st.Offset, 2 * st.log.Passed(first)}
}

// spanBefore is the page before an offset, or the latest one. The caller holds the stripe's
// lock.
func (s *Streams) spanBefore(st *Stream, q *PageQuery, oldest uint64) span {
	last := st.Offset
	if q.Before > 0 {
		last = min(last, q.Before-1)
	}
	if last < oldest {
		return span{}
	}
	first := oldest
	if last > q.limit() {
		first = max(first, last+1-q.limit())
	}
	from, size := st.log.FitLast(&s.history.memory, first, last, MaxPageBytes)
	passed := 2*(st.log.Passed(first)+int(from-first)) + st.log.Passed(from)
	return span{from, int(last + 1 - from), size, from > oldest, passed}
}
