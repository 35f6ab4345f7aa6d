package gateway

import (
	"time"

	"fleetcast/poller"
)

// alarm is the earliest moment at which something in a shard is due. A loop has
// one wake-up, which several may want: each says so in every turn, and the turn
// ends by setting it.
type alarm struct{ at time.Duration }

// by asks for a turn at a moment of the loop's clock, or before.
func (a *alarm) by(at time.Duration) {
	if a.at == 0 || at < a.at {
		a.at = at
	}
}

// set arms the loop's wake-up for the earliest time that was asked for, and forgets
// that time.
func (a *alarm) set(l *poller.Loop) {
	l.WakeAt(a.at)
	a.at = 0
}
