package gateway

import (
	"math"
	"time"
)

// meterSlot is the grain of a meter, which shows the rate over the last one to two
// slots.
const meterSlot = 5 * time.Second

// meter counts events and their bytes over a recent time. The zero value is ready.
// Whoever owns it must guard it: a stream's is under its stripe's lock, an account's
// belongs to who takes from the account.
type meter struct {
	slot   uint32 // of the loops' clock, to which events and bytes belong
	events uint32
	before uint32 // events of the slot before
	bytes  uint64
	// bytesBefore are those of the slot before.
	bytesBefore uint64
}

// count counts one event of so many bytes at a moment of the loops' clock. Loops
// read that at different times: what is a little late counts as of now.
func (m *meter) count(bytes int, now time.Duration) {
	m.turn(uint32(now / meterSlot))
	m.events++
	m.bytes += uint64(bytes)
}

// turn begins a slot, unless it is the present one or an earlier one.
func (m *meter) turn(slot uint32) {
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

// rates are what was counted per second.
func (m *meter) rates(now time.Duration) rates {
	look := *m
	look.turn(uint32(now / meterSlot))
	over := (meterSlot + now%meterSlot).Seconds()
	return rates{
		Events: tenth(float64(look.events+look.before) / over),
		Bytes:  tenth(float64(look.bytes+look.bytesBefore) / over),
	}
}

// rates are events and bytes of their data per second.
type rates struct {
	Events float64 `json:"events_per_second"`
	Bytes  float64 `json:"bytes_per_second"`
}

func (r *rates) add(other rates) {
	r.Events = tenth(r.Events + other.Events)
	r.Bytes = tenth(r.Bytes + other.Bytes)
}

func tenth(value float64) float64 { return math.Round(value*10) / 10 }

// sent is what a publisher, or a client, has published. It belongs to who takes
// from the account that it is part of.
type sent struct {
	meter
	events uint64
	bytes  uint64
	errors uint64 // requests that were refused
}

// count counts one event, as meter.count.
func (s *sent) count(bytes int, now time.Duration) {
	s.meter.count(bytes, now)
	s.events++
	s.bytes += uint64(bytes)
}
