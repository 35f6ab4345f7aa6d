package limits

import (
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/poller"
)

// TestBucketKeepsRate takes as often as it may for a while, in the way of each
// kind of customer, and counts.
func TestBucketKeepsRate(t *testing.T) {
	const seconds = 20
	for _, tt := range []struct {
		name  string
		rate  Rate
		step  time.Duration // between tries
		batch int
		want  int // within a batch more
	}{
		{"one by one", Rate{10, 1}, time.Millisecond, 1, 10*seconds + 1},
		{"burst, then the rate", Rate{10, 50}, time.Millisecond, 1, 10*seconds + 50},
		{"slower than the rate", Rate{10, 1}, time.Second, 1, seconds},
		{"batches", Rate{10, 5}, time.Millisecond, 5, 10*seconds + 5},
		{"batches over the burst", Rate{10, 1}, time.Millisecond, 7, 10*seconds + 7},
		{"seldom", Rate{0.1, 1}, time.Millisecond, 1, seconds/10 + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBucket(tt.rate)
			var due time.Duration
			var shared atomic.Int64
			took, tookShared := 0, 0
			for now := time.Hour; now < time.Hour+seconds*time.Second; now += tt.step {
				wait := b.take(&due, tt.batch, now)
				if wait == 0 {
					took += tt.batch
				} else if early := due; b.take(&early, tt.batch, now+wait-1) == 0 {
					t.Fatalf("at %v: could have been taken before the %v were over", now, wait)
				} else if b.take(&early, tt.batch, now+wait) != 0 {
					t.Fatalf("at %v: could not be taken after %v", now, wait)
				}
				if b.takeShared(&shared, tt.batch, now) == 0 {
					tookShared += tt.batch
				}
			}
			if took < tt.want-tt.batch || took > tt.want {
				t.Errorf("took %d in %d s, want %d", took, seconds, tt.want)
			}
			if tookShared != took {
				t.Errorf("took %d from the shared one, %d from the other", tookShared, took)
			}
		})
	}
}

// TestBucketTellsWhatIsLeft checks that as many can be taken as are said to be left,
// and no more.
func TestBucketTellsWhatIsLeft(t *testing.T) {
	b := NewBucket(Rate{PerSecond: 300, Burst: 7})
	var due time.Duration
	for now := time.Duration(0); now < 100*time.Millisecond; now += 1237 * time.Microsecond {
		if now%5 == 0 {
			b.take(&due, 1, now)
		}
		then := due
		for left := b.left(due, now); left > 0; left-- {
			if b.take(&then, 1, now) != 0 {
				t.Fatalf("at %v with due %v: %d of what is left cannot be taken", now, due, left)
			}
		}
		if b.take(&then, 1, now) == 0 {
			t.Fatalf("at %v with due %v: more can be taken than is left", now, due)
		}
	}
}

func TestBucketWithoutBound(t *testing.T) {
	b := NewBucket(Rate{})
	var due time.Duration
	for range 1000 {
		if wait := b.take(&due, 1000, 0); wait != 0 {
			t.Fatalf("wait %v", wait)
		}
	}
}

func TestRateCheck(t *testing.T) {
	for _, tt := range []struct {
		rate Rate
		ok   bool
	}{
		{Rate{}, true},
		{Rate{100, 1}, true},
		{Rate{0.001, 1000}, true},
		{Rate{100, 0}, false},
		{Rate{-1, 1}, false},
		{Rate{0, 5}, false},
		{Rate{1e10, 1}, false},
		{Rate{1e-300, 1 << 30}, false},
	} {
		if err := tt.rate.Check(); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt.rate, err)
		}
	}
}

// TestSharedByLoops takes with a clock that stands still while another loop's goes on.
func TestSharedByLoops(t *testing.T) {
	b := NewBucket(Rate{PerSecond: 1e6, Burst: 10})
	var due atomic.Int64
	behind := poller.Now() - time.Second
	if wait := b.TakeShared(&due, 1, poller.Now()); wait != 0 {
		t.Fatalf("the first must wait for %v", wait)
	}
	if wait := b.TakeShared(&due, 1, behind); wait != 0 {
		t.Errorf("the second must wait for %v by a clock that is behind", wait)
	}
}
