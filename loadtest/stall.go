package loadtest

// stall notices that deliveries have stopped.
type stall struct {
	limit     int64 // nanoseconds without a delivery
	delivered int64
	since     int64 // when the latest delivery was noticed, time of the clock
	stalled   bool  // the last stall has had no delivery after it
}

type stallVerdict uint8

const (
	stallNone    stallVerdict = iota
	stallOnce                 // deliveries have stopped
	stallForGood              // and they had since the last time
)

// idle is told when nothing is awaited.
func (s *stall) idle(now int64) { s.since = now }

// check is told how many events have been delivered in all.
func (s *stall) check(delivered, now int64) stallVerdict {
	if delivered != s.delivered {
		s.delivered, s.since, s.stalled = delivered, now, false
		return stallNone
	}
	if now-s.since < s.limit {
		return stallNone
	}
	s.since = now
	if s.stalled {
		return stallForGood
	}
	s.stalled = true
	return stallOnce
}
