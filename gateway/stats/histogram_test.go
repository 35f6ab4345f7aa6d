package stats

import (
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var one, two Histogram
	one.Observe(0, 1)
	one.Observe(10*time.Microsecond, 1)   // the end belongs to the bucket
	one.Observe(10*time.Microsecond+1, 3) // the next one
	two.Observe(300*time.Millisecond, 2)  // up to 0.5 s
	two.Observe(time.Minute, 1)           // beyond all
	two.Observe(10*time.Second, 1)        // the last bucket
	two.Observe(10*time.Second+1, 1)      // beyond all
	var total Histogram
	none := Histogram{} // of a loop that has never answered
	for _, s := range []Histogram{none, one.Snapshot(), none, two.Snapshot()} {
		total.add(&s)
	}
	if total.Count != 10 {
		t.Errorf("%d in all, want 10", total.Count)
	}
	wantSum := 4*10e-6 + 3e-9 + 0.6 + 60 + 10 + 10 + 1e-9
	if diff := total.Sum - wantSum; diff < -1e-6 || diff > 1e-6 {
		t.Errorf("the sum is %v, want %v", total.Sum, wantSum)
	}
	want := map[float64]uint64{1e-5: 2, 2e-5: 5, 5e-5: 5, 0.2: 5, 0.5: 7, 5: 7, 10: 8}
	for _, bucket := range total.Buckets {
		if n, ok := want[bucket.UpTo]; ok && n != bucket.Count {
			t.Errorf("up to %v s: %d, want %d", bucket.UpTo, bucket.Count, n)
		}
		delete(want, bucket.UpTo)
	}
	if len(want) > 0 {
		t.Errorf("no buckets for %v", want)
	}
}
