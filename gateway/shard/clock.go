package shard

import (
	"time"

	"fleetcast/poller"
)

// tenths is a loop's time in tenths of a second, for 13 years.
type tenths uint32

func tenthsOf(now time.Duration) tenths { return tenths(now / (time.Second / 10)) }

// since is the time from t to now, up to a tenth of a second too long.
func (t tenths) since(now time.Duration) time.Duration {
	return now - time.Duration(t)*(time.Second/10)
}

// millis is a loop's time in milliseconds. It wraps after 49 days: only shorter
// differences mean anything.
type millis uint32

func millisOf(now time.Duration) millis { return millis(now / time.Millisecond) }

func (m millis) since(now time.Duration) time.Duration {
	return time.Duration(millisOf(now)-m) * time.Millisecond
}

// seenAt is the time of a sign of life, rounded up. So a sign in the millisecond of a
// ping counts as an answer to it.
func seenAt(now time.Duration) millis { return millisOf(now) + 1 }

// after tells whether m, which seenAt has made, is later than t, if both lie
// within 24 days.
func (m millis) after(t time.Duration) bool { return int32(m-millisOf(t)) > 0 }

// seconds is d for JSON. Duration.Seconds would make 2.1390000000000002 of 2.139.
func seconds(d time.Duration) float64 { return float64(d) / float64(time.Second) }

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
