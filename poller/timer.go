package poller

import "time"

// alarm is the moment at which a loop must take a turn. The timer is set only before a
// wait. So it costs one system call however often the moment changes within a turn, and
// none if the moment does not change.
type alarm struct {
	at     time.Duration // wanted; 0 is none
	armed  time.Duration // what the timer is set to; 0 is not at all
	coarse bool          // ticks replace the timer, because there was no descriptor for it
}

// WakeAt makes the loop take a turn at a moment of its own clock (see [Loop.Now]),
// never before and as a rule some tens of microseconds after, or at once if the moment
// has passed. It does so once. A later call replaces an earlier one. 0 or less cancels
// the wake-up. Only the loop's goroutine may call it.
//
// The first wake-up takes a descriptor, which the loop keeps. While no descriptor is
// free, wake-ups are late by up to TickInterval.
func (l *Loop) WakeAt(at time.Duration) { l.alarm.at = max(at, 0) }

// passed forgets a wake-up whose moment has come, because this is its turn.
func (a *alarm) passed(now time.Duration) {
	if a.at <= now {
		a.at = 0
	}
}

// setAlarm sets the timer to the wake-up that is wanted and tells whether that
// is due already.
func (l *Loop) setAlarm() (due bool) {
	a := &l.alarm
	if a.at == a.armed {
		a.coarse = false
		return false
	}
	var after time.Duration
	if a.at > 0 {
		if after = a.at - Now(); after <= 0 {
			return true
		}
	}
	// The timer counts from a later moment than after does, so it is not early.
	if err := l.epoll.alarm(after); err != nil {
		a.coarse = true
		return false
	}
	a.armed, a.coarse = a.at, false
	return false
}
