package stream

import (
	"sync/atomic"
	"time"

	"fleetcast/gateway/history"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/stats"
)

// histories is what the streams keep of their events.
type histories struct {
	memory  history.Memory
	limit   atomic.Int64 // of the memory, in bytes
	rules   atomic.Pointer[rules.Table]
	evicted atomic.Uint64 // logs that were given up for others
	cursor  atomic.Uint32 // the stripe that an eviction looks at next
}

const (
	// historyTick is the unit of times in logs.
	historyTick = 100 * time.Millisecond
	// beforeStart is how long before the start of the process an event may have been published
	// that it knows.
	beforeStart = rules.MaxHistoryAge + 24*time.Hour
	// evictionsPerEvent bounds how many logs are given up for one event, besides those for the
	// memory that it has taken.
	evictionsPerEvent = 4
	// evictionsPerSweep bounds how many are given up in one go after a reload.
	evictionsPerSweep = 4096
)

// historyTime is a time of the loops' clock as logs have it.
func historyTime(at time.Duration) uint32 { return uint32(max(at+beforeStart, 0) / historyTick) }

// SetHistory changes what is kept: by the rules, and in how many bytes of memory, of which 0
// keeps nothing. Before the first call nothing is kept.
func (s *Streams) SetHistory(table *rules.Table, memory int64) {
	s.history.limit.Store(memory)
	if memory == 0 {
		table = nil
	}
	s.history.rules.Store(table)
}

// historyOf is how much is kept of a stream.
func (s *Streams) historyOf(st *Stream) rules.History {
	if table := s.history.rules.Load(); table != nil {
		return st.RuleIn(table).History
	}
	return rules.History{}
}

// keep puts the stream's latest event into its log, as its rule says. The caller holds the
// stripe's lock.
func (s *Streams) keep(stripe *stripe, st *Stream, e *Submission) {
	kept := s.historyOf(st)
	if kept.Events == 0 {
		s.dropLog(stripe, st)
		return
	}
	m, before, bytes := &s.history.memory, st.log.Len(), st.log.Bytes()
	if before == 0 {
		stripe.logs.add(st)
	}
	st.logUsed = true
	st.log.Append(m, st.Offset, historyTime(e.At), e.Data)
	if keep := uint64(kept.Events); st.Offset > keep {
		st.log.DropBefore(m, st.Offset+1-keep)
	}
	if kept.Bytes > 0 && st.log.Bytes() > kept.Bytes {
		st.log.Shrink(m, kept.Bytes)
	}
	s.countKept(stripe, st, before)
	// All others may be as small as logs can be.
	s.evictLogs(stripe, evictionsPerEvent+max(st.log.Bytes()-bytes, 0)/history.MinLog)
}

// evictLogs gives up so many logs at most while all hold too much. The caller holds the lock of
// held, which may be nil, and of no other stripe.
func (s *Streams) evictLogs(held *stripe, most int) {
	for range most {
		if s.history.memory.Used() <= s.history.limit.Load() || !s.evictLog(held) {
			return
		}
	}
}

// countKept counts what has changed in a log that had so many events.
func (s *Streams) countKept(stripe *stripe, st *Stream, before int) {
	now := st.log.Len()
	if now != before {
		stripe.kept += int64(now - before)
	}
	if now == 0 {
		stripe.logs.remove(st)
	}
}

// dropLog gives up what is kept of a stream. The caller holds the stripe's lock.
func (s *Streams) dropLog(stripe *stripe, st *Stream) { s.dropBefore(stripe, st, st.log.Last()+1) }

// dropBefore gives up what is kept of a stream's events before an offset, as far as that gives
// memory back.
func (s *Streams) dropBefore(stripe *stripe, st *Stream, offset uint64) {
	if before := st.log.Len(); before > 0 {
		st.log.DropBefore(&s.history.memory, offset)
		s.countKept(stripe, st, before)
	}
}

// evictLog gives up a log that was not used for long, of the next stripe that is not locked,
// or of the one whose lock the caller holds, if held is not nil.
func (s *Streams) evictLog(held *stripe) bool {
	for range StripeCount {
		next := &s.stripes[s.history.cursor.Add(1)%StripeCount]
		switch {
		case next == held:
			if s.evictLogFrom(held) {
				return true
			}
		case next.logs.count.Load() > 0 && next.mu.TryLock(): // whoever holds a lock never waits for another
			done := s.evictLogFrom(next)
			next.mu.Unlock()
			if done {
				return true
			}
		}
	}
	return false
}

// evictLogFrom gives up the log that stands first in the stripe's list. Those that were used
// since they were listed go behind the others instead.
func (s *Streams) evictLogFrom(stripe *stripe) bool {
	for st := stripe.logs.oldest; st != nil; st = stripe.logs.oldest {
		if !st.logUsed {
			s.dropLog(stripe, st)
			s.history.evicted.Add(1)
			return true
		}
		st.logUsed = false
		stripe.logs.remove(st)
		stripe.logs.add(st)
	}
	return false
}

// SweepHistory gives up the events of one stripe that are too old, or that its rules do not
// keep any more, and logs of any stripe if all hold more memory than they may since a reload.
func (s *Streams) SweepHistory(i int, now time.Duration) {
	stripe := &s.stripes[i]
	if stripe.logs.count.Load() == 0 {
		return
	}
	stripe.mu.Lock()
	for st := stripe.logs.oldest; st != nil; {
		next := st.logLater
		s.dropBefore(stripe, st, s.firstKept(st, 1, now))
		st = next
	}
	stripe.mu.Unlock()
	s.evictLogs(nil, evictionsPerSweep) // of all stripes, and with a lock for each only
}

// firstKept is the first offset from one on whose event is kept and may be shown: that of the
// next event if there is none. The caller holds the stripe's lock.
func (s *Streams) firstKept(st *Stream, from uint64, now time.Duration) uint64 {
	kept := s.historyOf(st)
	if kept.Events == 0 || st.log.Len() == 0 {
		return st.Offset + 1
	}
	if events := uint64(kept.Events); st.Offset > events {
		from = max(from, st.Offset+1-events)
	}
	return st.log.Since(&s.history.memory, from, historyTime(now-kept.Age))
}

// Kept is what is kept of a stream's events from an offset on.
type Kept struct {
	First uint64 // offset of the first one; behind Last if there is none
	Last  uint64 // offset of the stream's latest event
}

// Kept tells what is kept of the stream of an interest from an offset on, at a time of the
// loops' clock. It counts as a use.
func (s *Streams) Kept(c *Interest, from uint64, now time.Duration) Kept {
	stripe := s.stripe([]byte(c.Name))
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	st := c.Stream
	st.logUsed = true
	return Kept{First: s.firstKept(st, from, now), Last: st.Offset}
}

// ReadKept calls visit for the events that are kept of the stream of an interest, from an
// offset on and in order, until it returns false. It returns the offset of the first one, or
// that of the next event if there is none. It holds the stripe's lock, so visit must be short.
// The data that it gets is valid during the call only, and may lie in scratch, which is
// returned for the next time.
func (s *Streams) ReadKept(c *Interest, from uint64, now time.Duration, scratch []byte, visit func(offset uint64, data []byte) bool) (first uint64, _ []byte) {
	stripe := s.stripe([]byte(c.Name))
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	return s.readKept(c.Stream, from, now, scratch, visit)
}

// readKept is ReadKept for a caller that holds the stripe's lock.
func (s *Streams) readKept(st *Stream, from uint64, now time.Duration, scratch []byte, visit func(offset uint64, data []byte) bool) (first uint64, _ []byte) {
	st.logUsed = true
	if first = s.firstKept(st, from, now); first <= st.Offset {
		scratch = st.log.Read(&s.history.memory, first, scratch, func(offset uint64, _ uint32, data []byte) bool { return visit(offset, data) })
	}
	return first, scratch
}

// Purge gives up the events that are kept of the channel of that name at a time of the loops'
// clock. It returns how many those were, and whether there is such a channel.
func (s *Streams) Purge(name []byte, now time.Duration) (events int, ok bool) {
	stripe := s.stripe(name)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	st := stripe.byName[string(name)]
	if st == nil {
		return 0, false
	}
	events = int(st.Offset + 1 - s.firstKept(st, 1, now))
	s.dropLog(stripe, st)
	return events, true
}

// keptEvents is how many events are kept.
func (s *Streams) keptEvents() (n int64) {
	for i := range s.stripes {
		stripe := &s.stripes[i]
		stripe.mu.Lock()
		n += stripe.kept
		stripe.mu.Unlock()
	}
	return n
}

// addHistory adds what is counted of histories.
func (s *Streams) addHistory(to *stats.Publish) {
	to.HistoryEvents += s.keptEvents()
	to.HistoryBytes += s.history.memory.Used()
	to.HistoryEvicted += s.history.evicted.Load()
}

// logList are the streams of a stripe that have something in their logs, in about the order of
// their last use. The stripe's lock guards all but count.
type logList struct {
	oldest, newest *Stream
	count          atomic.Int32
}

func (l *logList) add(st *Stream) {
	st.logEarlier, st.logLater = l.newest, nil
	if l.newest == nil {
		l.oldest = st
	} else {
		l.newest.logLater = st
	}
	l.newest = st
	l.count.Add(1)
}

func (l *logList) remove(st *Stream) {
	if st.logEarlier == nil {
		l.oldest = st.logLater
	} else {
		st.logEarlier.logLater = st.logLater
	}
	if st.logLater == nil {
		l.newest = st.logEarlier
	} else {
		st.logLater.logEarlier = st.logEarlier
	}
	st.logEarlier, st.logLater = nil, nil
	l.count.Add(-1)
}
