package poller

import "time"

// sweepCatchUp is how many times its pace a sweep makes at most after a stall.
const sweepCatchUp = 4

// sweep walks over the connections' slots at a steady pace, so that each is
// seen once per interval and the work is spread evenly over it.
type sweep struct {
	interval time.Duration
	cursor   int
	last     time.Duration
	owed     float64 // visits due and not yet made
}

func (s *sweep) advance(conns []*Conn, now time.Duration) {
	if s.interval == 0 || len(conns) == 0 {
		s.last = now
		return
	}
	s.owed += float64(len(conns)) * float64(now-s.last) / float64(s.interval)
	s.last = now
	// What a stall has delayed is made up for in steps, not in a burst.
	share := float64(len(conns)) * float64(TickInterval) / float64(s.interval)
	s.owed = min(s.owed, 1+sweepCatchUp*share, float64(len(conns)))
	for ; s.owed >= 1; s.owed-- {
		if s.cursor >= len(conns) {
			s.cursor = 0
		}
		if c := conns[s.cursor]; c != nil && c.state == stateOpen {
			c.handler.Swept()
		}
		s.cursor++
	}
}
