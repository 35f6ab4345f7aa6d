package shard

import (
	"testing"
	"time"
)

// TestShareOfTurn has a turn that is full of other work fan out as long as it has worked.
func TestShareOfTurn(t *testing.T) {
	for _, test := range []struct {
		name                      string
		slice, since, other, want time.Duration
	}{
		{"little else", fanOutSlice, time.Second, fanOutSlice / 4, fanOutSlice},
		{"as much else", fanOutSlice, time.Second, 3 * fanOutSlice, 3 * fanOutSlice},
		{"far too much else", fanOutSlice, time.Second, time.Minute, mostFanOut},
		{"the least number of sends", 0, time.Second, time.Minute, 0},
		{"what the share before has counted", fanOutSlice, 2 * fanOutSlice, 3 * fanOutSlice, 2 * fanOutSlice},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newTestShard(t)
			s.SliceFor(test.slice)
			now := s.Loop.TurnBegan() + test.other
			s.fannedOut = now - test.since
			if got := s.shareOfTurn(now); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}
