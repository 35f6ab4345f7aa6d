package report

import (
	"math"

	"fleetcast/loadtest"
)

// times are the moments of a timeline's samples.
func times(timeline []loadtest.Sample) values {
	return column(timeline, func(s loadtest.Sample) float64 { return s.At })
}

// column takes one value of each sample.
func column(timeline []loadtest.Sample, of func(loadtest.Sample) float64) values {
	v := make(values, len(timeline))
	for i, s := range timeline {
		v[i] = of(s)
	}
	return v
}

// positive makes gaps of what a log scale cannot show.
func positive(v values) values {
	for i, x := range v {
		if x <= 0 {
			v[i] = gap
		}
	}
	return v
}

// extent is the range of a column, gaps aside.
type extent struct {
	low, high float64
	highAt    int // index of the first value that is the highest; -1 if all are gaps
}

func (e extent) none() bool { return e.highAt < 0 }

func extremes(v values) extent {
	e := extent{highAt: -1}
	for i, x := range v {
		if math.IsNaN(x) {
			continue
		}
		if e.none() {
			e = extent{x, x, i}
		}
		e.low = min(e.low, x)
		if x > e.high {
			e.high, e.highAt = x, i
		}
	}
	return e
}
