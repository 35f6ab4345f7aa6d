package limits

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestCompactBucketKeepsRate has it side by side with the bucket that has room,
// from times just before its number wraps.
func TestCompactBucketKeepsRate(t *testing.T) {
	for _, rate := range []Rate{{100, 2000}, {10, 1}, {1, 1}, {0.1, 5}, {1000, 1}, {50, 100}} {
		compact, roomy := newCompactBucket(rate, 25*time.Second), NewBucket(rate)
		wrap := time.Duration(1) << 32 << compact.shift
		random := rand.New(rand.NewPCG(1, 2))
		for _, from := range []time.Duration{0, wrap - 10*time.Second, 3*wrap - time.Second} {
			due := compact.Start(from)
			var roomyDue time.Duration
			took, tookRoomy := 0, 0
			settled := from
			now := from
			for now < from+100*time.Second {
				now += time.Duration(random.ExpFloat64() / rate.PerSecond / 3 * float64(time.Second))
				if now-settled > 25*time.Second {
					compact.Settle(&due, now)
					settled = now
				}
				before := due
				if wait := compact.Take(&due, now); wait == 0 {
					took++
				} else if due != before {
					t.Fatalf("%+v: what was refused was taken", rate)
				} else if again := due; compact.Take(&again, now+wait) != 0 {
					t.Fatalf("%+v: could not be taken after %v", rate, wait)
				}
				if roomy.take(&roomyDue, 1, now) == 0 {
					tookRoomy++
				}
			}
			if off := took - tookRoomy; off < -tookRoomy/100-1 || off > tookRoomy/100+1 {
				t.Errorf("%+v from %v: took %d, want about %d", rate, from, took, tookRoomy)
			}
		}
	}
}

// Whoever has done nothing for whatever time may go on, and has no more than the
// burst.
func TestCompactBucketAfterIdling(t *testing.T) {
	for _, settled := range []time.Duration{time.Second, 25 * time.Second, time.Hour, 30 * 24 * time.Hour} {
		for _, rate := range []Rate{{100, 2000}, {1.0 / 60, 6}, {1, 100_000}} {
			b := newCompactBucket(rate, settled)
			wrap := time.Duration(1) << 32 << b.shift
			burst := func(now time.Duration, due uint32) (n int) {
				for n <= rate.Burst && b.Take(&due, now) == 0 {
					n++
				}
				return n
			}
			var due uint32
			for b.Take(&due, 0) == 0 { // use the burst up
			}
			// Idle, but settled late each time, for more than a wrap.
			now := time.Duration(0)
			for now < wrap+wrap/2 {
				now += max(settled+settled/2, wrap/32)
				if now < time.Duration(float64(rate.Burst)/rate.PerSecond*float64(time.Second)) {
					b.Settle(&due, now)
					continue
				}
				if got := burst(now, due); got < rate.Burst || got > rate.Burst {
					t.Fatalf("%+v settled every %v: %d may be taken after idling %v, want %d", rate, settled, got, now, rate.Burst)
				}
				b.Settle(&due, now)
			}
		}
	}
}

func TestCompactBucketBounds(t *testing.T) {
	var due uint32
	none := newCompactBucket(Rate{}, time.Second)
	for range 1000 {
		if none.Take(&due, 0) != 0 {
			t.Fatal("no rate is a bound")
		}
	}
	// One that was unbounded for long, until the rate was changed.
	bounded := newCompactBucket(Rate{1, 1000}, time.Second)
	late := time.Duration(1)<<32<<bounded.shift - time.Minute
	due = none.Start(0)
	none.Settle(&due, late)
	if wait := bounded.Take(&due, late); wait > 0 {
		t.Errorf("has to wait %v", wait)
	}
	// Faster than the unit is as fast as the unit, not without bound.
	fast, now := newCompactBucket(Rate{1e9, 1}, time.Second), time.Hour
	due = 0
	if fast.Take(&due, now) != 0 || fast.Take(&due, now) == 0 {
		t.Error("a very fast rate does not bound")
	}
	// A burst beyond what a number can hold is as large as that allows.
	for _, rate := range []Rate{{1e9, 1e9}, {1e9, 1 << 62}, {1000, 1 << 40}} {
		large, at := newCompactBucket(rate, time.Second), time.Hour
		due = 0
		for range 100_000 {
			if wait := large.Take(&due, at); wait > 0 {
				t.Fatalf("%+v: has to wait %v", rate, wait)
			}
		}
	}
	// After a change of the rate, a number means at most a burst's time, and the slack.
	slow := newCompactBucket(Rate{1, 10}, time.Second)
	for random := rand.New(rand.NewPCG(3, 4)); now < 2*time.Hour; now += time.Minute {
		due = random.Uint32()
		if wait := slow.Take(&due, now); wait > time.Second+slackFrames*longestFrame+10*time.Millisecond {
			t.Fatalf("a number of another bucket has to wait %v", wait)
		}
	}
}

// TestCompactBucketCharges charges frames: they count for what may be taken, and
// are spent with the slack.
func TestCompactBucketCharges(t *testing.T) {
	for _, rate := range []Rate{{100, 2000}, {10, 1}, {1.0 / 3600, 1}, {5000, 10}, {1e6, 1000}} {
		b := newCompactBucket(rate, 25*time.Second)
		now := time.Hour
		due := b.Start(now)
		frames := 0
		for !b.Charge(&due, 1, now) {
			frames++
		}
		framesOfBurst := float64(rate.Burst) * float64(b.interval) / float64(b.frame)
		if want := framesOfBurst + slackFrames - 1; float64(frames) < want-1 || float64(frames) > want+1 {
			t.Errorf("%+v: %d frames may come at once, want %.0f", rate, frames, want)
		}
		if b.Take(&due, now) == 0 {
			t.Errorf("%+v: what frames have used up can be taken", rate)
		}
		if b.Recovered(due, now) {
			t.Errorf("%+v: recovered at once", rate)
		}
		if !b.Charge(&due, 1<<40, now) {
			t.Errorf("%+v: a large charge is not spent", rate)
		}
		slack := time.Duration(b.slack()) << b.shift
		if !b.Recovered(due, now+slack) || b.Recovered(due, now+slack/4) {
			t.Errorf("%+v: not recovered after the time of the slack, or too early", rate)
		}
		if wait := b.Take(&due, now); b.Take(&due, now+wait) != 0 {
			t.Errorf("%+v: cannot be taken after %v", rate, wait)
		}
	}
	var due uint32
	if none := newCompactBucket(Rate{}, time.Second); none.Charge(&due, 1<<30, 0) || !none.Recovered(due, 0) {
		t.Error("no rate is a bound")
	}
}
