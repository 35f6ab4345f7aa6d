package stats

import (
	"math"
	"time"
)

// meterSlot is the grain of a meter, which shows the rate over the last one to two
// slots.
const meterSlot = 5 * time.Second

// Meter counts events and their bytes over a recent time. The zero value is ready. Its
// owner must guard it: a stream's is under its stripe's lock, an account's belongs to
// the loop that takes from the account.
type Meter struct {
	slot   uint32 // of the loops' clock, to which events and bytes belong
	events uint32
	before uint32 // events of the slot before
	bytes  uint64
	// bytesBefore are those of the slot before.
	bytesBefore uint64
}

// Count counts one event of so many bytes at a moment of the loops' clock. Loops read
// the clock at different times, so a moment that is a little late counts as now.
func (m *Meter) Count(bytes int, now time.Duration) {
	m.turn(uint32(now / meterSlot))
	m.events++
	m.bytes += uint64(bytes)
}

// turn begins a slot, unless it is the present one or an earlier one.
func (m *Meter) turn(slot uint32) {
	switch {
	case slot <= m.slot:
		return
	case slot == m.slot+1:
		m.before, m.bytesBefore = m.events, m.bytes
	default:
		m.before, m.bytesBefore = 0, 0
	}
	m.slot, m.events, m.bytes = slot, 0, 0
}

// Rates are what was counted per second.
func (m *Meter) Rates(now time.Duration) Rates {
	look := *m
	look.turn(uint32(now / meterSlot))
	over := (meterSlot + now%meterSlot).Seconds()
	return Rates{
		Events: Tenth(float64(look.events+look.before) / over),
		Bytes:  Tenth(float64(look.bytes+look.bytesBefore) / over),
	}
}

// Rates are events and bytes of their data per second.
type Rates struct {
	Events float64 `json:"events_per_second"`
	Bytes  float64 `json:"bytes_per_second"`
}

// Add adds other rates.
func (r *Rates) Add(other Rates) {
	r.Events = Tenth(r.Events + other.Events)
	r.Bytes = Tenth(r.Bytes + other.Bytes)
}

// Tenth rounds to one decimal.
func Tenth(value float64) float64 { return math.Round(value*10) / 10 }

// Sent is what a publisher, or a client, has published. It is part of an account, and
// belongs to the loop that takes from the account.
type Sent struct {
	Meter
	Events uint64
	Bytes  uint64
	Errors uint64 // requests that were refused
}

// Count counts one event, as meter.count.
func (s *Sent) Count(bytes int, now time.Duration) {
	s.Meter.Count(bytes, now)
	s.Events++
	s.Bytes += uint64(bytes)
}

// Longest is the longest of several durations. It belongs to one goroutine.
type Longest time.Duration

// Observe counts one of them.
func (l *Longest) Observe(d time.Duration) { *l = max(*l, Longest(d)) }

// Take returns the longest so far and starts again.
func (l *Longest) Take() time.Duration {
	taken := time.Duration(*l)
	*l = 0
	return taken
}
