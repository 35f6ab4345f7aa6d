package keys

import (
	"net/netip"
	"time"

	"fleetcast/gateway/limits"
)

// triesRate is how many wrong keys may come from one network address.
var triesRate = limits.NewBucket(limits.Rate{PerSecond: 1.0 / 6, Burst: 10})

// Tries counts wrong keys by network address. A right key is always taken, whatever came
// from its address before. So nobody can lock others out who share an address, and a key
// cannot be guessed anyway: the bound keeps wrong keys from costing much. Any goroutine
// may call its methods.
type Tries struct{ addresses *limits.Quotas[netip.Addr] }

// NewTries makes a count that is 0 for all.
func NewTries() *Tries { return &Tries{limits.NewQuotas[netip.Addr]()} }

// Wrong counts a wrong key. If too many have come from the address, wait is after how
// long the next one is looked at kindly; until then the connection is to be cut off.
func (t *Tries) Wrong(from netip.Addr, now time.Duration) (wait time.Duration) {
	if from.IsValid() {
		from = limits.Network(from.Unmap())
	}
	used, _, wait := t.addresses.Open(from, limits.QuotaBounds{Rate: triesRate}, now)
	if used != nil {
		t.addresses.Close(used, now)
	}
	return wait
}

// Sweep forgets the addresses that need not be kept.
func (t *Tries) Sweep(now time.Duration) { t.addresses.Sweep(now) }
