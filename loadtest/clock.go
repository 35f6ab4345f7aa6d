package loadtest

import (
	"time"

	"golang.org/x/sys/unix"
)

// clock is the time of one run in nanoseconds since its start: monotonic, the
// same for all goroutines and processes, and related to Unix time once.
type clock struct {
	start time.Time
	base  clockBase
}

// clockBase is a clock as another process of this machine can take it up.
type clockBase struct {
	Monotonic int64 // of CLOCK_MONOTONIC at the start, in nanoseconds
	Unix      int64 // nanoseconds of Unix time at the start
}

func newClock() clock {
	now := time.Now()
	return clock{now, clockBase{monotonic(), now.UnixNano()}}
}

// clockAt takes up the clock of another process.
func clockAt(base clockBase) clock {
	now := time.Now()
	return clock{now.Add(-time.Duration(monotonic() - base.Monotonic)), base}
}

func monotonic() int64 {
	var t unix.Timespec
	// It fails only for clocks that do not exist.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano()
}

func (c *clock) now() int64 { return int64(time.Since(c.start)) }

// toUnix turns a time of the clock into nanoseconds of Unix time.
func (c *clock) toUnix(t int64) int64 { return c.base.Unix + t }
