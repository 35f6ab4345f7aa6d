package loadtest

import (
	"sync/atomic"
	"time"
)

// clock is the time of one run in nanoseconds since its start: monotonic, the
// same for all workers, and related to Unix time once.
type clock struct {
	start time.Time
	unix  int64
}

func newClock() clock {
	now := time.Now()
	return clock{now, now.UnixNano()}
}

func (c *clock) now() int64 { return int64(time.Since(c.start)) }

// toUnix turns a time of the clock into nanoseconds of Unix time.
func (c *clock) toUnix(t int64) int64 { return c.unix + t }

// schedule says which events were published and when each was due. The
// publisher writes it, every worker reads it.
type schedule struct {
	published atomic.Int64   // events 0 to published-1 are, or are about to be, on their way
	dues      []atomic.Int64 // by sequence number, time of the clock
}

func newSchedule(events int) *schedule {
	return &schedule{dues: make([]atomic.Int64, events)}
}

// publish notes the next event's due time; it precedes the event's bytes.
func (s *schedule) publish(due int64) (seq int64) {
	seq = s.published.Load()
	s.dues[seq].Store(due)
	s.published.Store(seq + 1)
	return seq
}

// due returns when event seq was due; ok is false if it was never published.
func (s *schedule) due(seq int64) (due int64, ok bool) {
	if seq < 0 || seq >= s.published.Load() {
		return 0, false
	}
	return s.dues[seq].Load(), true
}

// layout says which channel an event belongs to: event seq is the one with
// index seq/channels in channel seq%channels.
type layout struct{ channels int64 }

func (l layout) seq(channel int32, index int64) int64 { return index*l.channels + int64(channel) }

func (l layout) place(seq int64) (channel int32, index int64) {
	return int32(seq % l.channels), seq / l.channels
}

// count is how many of the first published events belong to channel.
func (l layout) count(channel int32, published int64) int64 {
	return (published - int64(channel) + l.channels - 1) / l.channels
}
