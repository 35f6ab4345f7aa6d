package stats

import (
	"slices"
	"time"
)

// histogramBounds are the upper ends of a histogram's buckets. Longer values are
// counted, but in no bucket.
var histogramBounds = [...]time.Duration{
	10 * time.Microsecond, 20 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
}

// Histogram counts durations. Its exported fields are filled in a snapshot, as
// Prometheus counts: each bucket includes those below. What is longer than the last
// bucket's end is in Count alone. The zero value is ready.
type Histogram struct {
	Count   uint64            `json:"count"`
	Sum     float64           `json:"sum"` // in seconds
	Buckets []HistogramBucket `json:"buckets"`

	counts [len(histogramBounds) + 1]uint64 // by bucket; the last one is beyond the bounds
	sum    time.Duration
}

// Observe counts d, n times.
func (h *Histogram) Observe(d time.Duration, n uint64) {
	bucket, _ := slices.BinarySearch(histogramBounds[:], d)
	h.counts[bucket] += n
	h.sum += d * time.Duration(n)
}

// HistogramBucket is how often something took up to UpTo seconds.
type HistogramBucket struct {
	UpTo  float64 `json:"le"`
	Count uint64  `json:"count"`
}

// Snapshot is what h has counted.
func (h *Histogram) Snapshot() Histogram {
	s := Histogram{Sum: h.sum.Seconds(), Buckets: make([]HistogramBucket, len(histogramBounds))}
	for i, n := range h.counts {
		s.Count += n
		if i < len(histogramBounds) {
			s.Buckets[i] = HistogramBucket{histogramBounds[i].Seconds(), s.Count}
		}
	}
	return s
}

// add adds the counts of a snapshot to another one. Both have the same buckets, or
// one has none yet: a loop that has never answered has none.
func (h *Histogram) add(s *Histogram) {
	h.Count += s.Count
	h.Sum += s.Sum
	if len(h.Buckets) == 0 {
		h.Buckets = make([]HistogramBucket, len(s.Buckets))
	}
	for i, bucket := range s.Buckets {
		h.Buckets[i].UpTo = bucket.UpTo
		h.Buckets[i].Count += bucket.Count
	}
}
