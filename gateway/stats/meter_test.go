package stats

import (
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	const from = time.Hour // a slot's beginning
	var m Meter
	want := func(at time.Duration, events, bytes float64) {
		t.Helper()
		if got := m.Rates(from + at); got != (Rates{events, bytes}) {
			t.Errorf("after %v the rates are %+v, want %v and %v", at, got, events, bytes)
		}
	}
	want(0, 0, 0)
	for i := range 1000 { // 100 a second for ten seconds
		m.Count(20, from+time.Duration(i)*10*time.Millisecond)
	}
	want(10*time.Second, 100, 2000)
	m.Count(20, from+9*time.Second) // of a loop whose clock is behind
	want(12*time.Second+500*time.Millisecond, 66.8, 1336)
	want(15*time.Second, 0, 0)
	want(time.Hour, 0, 0)
	m.Count(7, from+time.Minute)
	want(time.Minute+time.Second, 0.2, 1.2)
	m.Count(7, from+2*time.Minute) // what is older does not count
	want(2*time.Minute, 0.2, 1.4)
}
