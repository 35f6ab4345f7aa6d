package shard

import (
	"time"

	"fleetcast/gateway/backlog"
	"fleetcast/gateway/settings"
)

// Time makes a client slow: an event of a channel with the policy
// [rules.SlowDisconnect] has waited for it longer than Config.SlowAfter. How much waits
// does not matter, as long as it leaves in time and there is memory for it.

const (
	// longestStep is how much of the time between two ticks counts at most. If more
	// time has passed, the shard had no clients or was held up, or the process was
	// stopped, and no client could get anything.
	longestStep = 2 * settings.BeatLength
	// longestLap is the longest time between two looks at a client that lags.
	longestLap = time.Second
	// looksPerSlice is how many clients that lag a turn looks at, at most, and with
	// them how many of their events.
	looksPerSlice = 1024
)

// patrol finds the slow clients of a shard. It looks at all clients that lag, one lap
// after the other, so that no client needs a timer.
type patrol struct {
	ledger *backlog.Ledger
	ticked time.Duration // the loop's time of the last tick
	lapDue time.Duration // when the next lap begins, by attended
	unseen int           // clients at the front of the shard's list that this lap has not looked at yet
}

// tick counts the time since the last tick, and begins a lap if one is due.
func (p *patrol) tick(now time.Duration, lagging int, slowAfter time.Duration) {
	p.ledger.Attended += min(now-p.ticked, longestStep)
	p.ticked = now
	if p.ledger.Attended >= p.lapDue && p.unseen == 0 {
		p.unseen = lagging
		p.lapDue = p.ledger.Attended + min(slowAfter/8, longestLap)
	}
}

// findSlow continues the lap for a part of it, and returns whether more is left. It
// goes from the back of the list to the front. When a client catches up, the last one
// takes its place, so none is missed.
func (s *Shard) findSlow() (busy bool) {
	p := &s.patrol
	p.unseen = min(p.unseen, len(s.lagging))
	if p.unseen == 0 {
		return false
	}
	limit := backlog.Beat(s.shared.Settings.Config().SlowAfter / settings.BeatLength)
	end := s.Loop.Refresh() + s.slice
	cuts := 0
	for looks := 0; p.unseen > 0 && looks < looksPerSlice && cuts < cutsPerTurn; looks++ {
		p.unseen--
		c := s.lagging[p.unseen]
		if c.state != sessionOpen || !c.conn.Open() {
			continue
		}
		tooLate, looked := c.backlog.DropStale(p.ledger.Now(), limit)
		looks += looked
		if tooLate {
			c.overrun() // takes long if very many events wait
			cuts++
			if s.Loop.Refresh() >= end {
				break
			}
		}
	}
	return p.unseen > 0
}
