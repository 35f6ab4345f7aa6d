package limits

import (
	"math"
	"time"
)

// compactBucket is a bucket whose number takes 4 bytes, for what every client
// keeps. It takes one thing at a time.
//
// The number is a time in units of 2^shift nanoseconds, and wraps. A number that is
// ahead of the clock by no more than this bucket can put it is a due time. Any other
// number lies in the past. Its keeper must call Settle often enough, so that a time in
// the distant past does not wrap and look like one in the future.
type compactBucket struct {
	shift     uint8
	interval  uint32 // of one, on average; 0: no bound
	tolerance uint32 // how far ahead of the clock one more may be taken
	frame     uint32 // what a frame is charged
}

// compactShift makes the unit about a microsecond, which wraps after 73 minutes. The
// unit is larger if a burst takes long to be allowed again, or if numbers are settled
// seldom.
const compactShift = 10

const (
	// framesPerThing is how many frames cost as much as one thing that is taken.
	framesPerThing = 32
	// longestFrame is the most that a frame costs, in time, however low the rate
	// is: pings and answers to pings must stay possible.
	longestFrame = time.Millisecond
	// slackFrames is how many frames may be charged beyond what may be taken.
	slackFrames = 1024
)

// maxCompact is how many units ahead a number may be, and so about the largest burst.
const maxCompact = math.MaxUint32 / 16

// newCompactBucket is for numbers that are settled once in each interval
// settled. A rate is kept to half a unit for each thing: with the usual unit,
// to 1 % at 20,000 a second. No rate is higher than one for each unit, and
// no burst larger than maxCompact.
func newCompactBucket(r Rate, settled time.Duration) compactBucket {
	c := compactBucket{shift: compactShift}
	b := NewBucket(r)
	burst := uint64(min(max(r.Burst, 1), maxCompact-slackFrames))
	for ; ; c.shift++ {
		interval := uint64(0)
		if !r.Unlimited() {
			interval = max(uint64(b.Interval+1<<c.shift/2)>>c.shift, 1)
		}
		// A number is at most this far ahead. It is looked at again after the time
		// settled, perhaps late. Both together are far from a wrap.
		frame := min(max(interval/framesPerThing, 1), max(uint64(longestFrame)>>c.shift, 1))
		most := max(interval*burst+frame*slackFrames, uint64(settled)>>c.shift)
		if most <= maxCompact {
			c.interval, c.frame = uint32(interval), uint32(frame)
			c.tolerance = uint32(interval * (burst - 1))
			return c
		}
	}
}

// Start is the due time of a client that has used none of its allowance.
func (b compactBucket) Start(now time.Duration) (due uint32) { return b.clock(now) }

// Take takes one and returns 0, or does not and returns after how long it may be
// tried again. due belongs to the caller, at first 0; now is the loops' clock.
func (b compactBucket) Take(due *uint32, now time.Duration) (wait time.Duration) {
	if b.interval == 0 {
		return 0
	}
	clock := b.clock(now)
	ahead := b.ahead(*due, clock)
	if ahead > b.tolerance {
		return time.Duration(ahead-b.tolerance) << b.shift
	}
	*due = clock + ahead + b.interval
	return 0
}

// Behind is after how long to try again behind n others that have the same wait: when
// it is its turn, or earlier, when the whole burst is allowed. A client that then tries
// all of them together gets most of them.
func (b compactBucket) Behind(wait time.Duration, n int) time.Duration {
	burst := (time.Duration(b.tolerance) + time.Duration(b.interval)) << b.shift
	return min(wait+time.Duration(b.interval)<<b.shift*time.Duration(n), max(wait, burst))
}

// Settle brings a number that lies in the past up to the clock.
func (b compactBucket) Settle(due *uint32, now time.Duration) {
	clock := b.clock(now)
	*due = clock + b.ahead(*due, clock)
}

func (b compactBucket) clock(now time.Duration) uint32 { return uint32(now >> b.shift) }

// ahead is how far due lies ahead of the clock; 0 if it has passed.
func (b compactBucket) ahead(due, clock uint32) uint32 {
	ahead := due - clock
	if ahead > b.ceiling() {
		return 0
	}
	return ahead
}

// ceiling is how far ahead of the clock a number can be.
func (b compactBucket) ceiling() uint32 { return b.tolerance + b.interval + b.slack() }

func (b compactBucket) slack() uint32 { return b.frame * slackFrames }

// Charge takes n frames, whether the rate allows them or not. It tells whether
// the slack is used up: then no more should be accepted until recovered.
func (b compactBucket) Charge(due *uint32, n int, now time.Duration) (spent bool) {
	if b.interval == 0 {
		return false
	}
	clock := b.clock(now)
	ahead := min(uint64(b.ahead(*due, clock))+uint64(n)*uint64(b.frame), uint64(b.ceiling()))
	*due = clock + uint32(ahead)
	return uint32(ahead) == b.ceiling()
}

// Recovered tells whether half of the slack is free again.
func (b compactBucket) Recovered(due uint32, now time.Duration) bool {
	return b.interval == 0 || b.ahead(due, b.clock(now)) <= b.ceiling()-b.slack()/2
}
