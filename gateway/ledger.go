package gateway

import (
	"time"

	"fleetcast/gateway/settings"
	"fleetcast/gateway/stats"
)

// beat is a moment of a ledger's clock, in units of settings.BeatLength. An event
// that waits has only the low bits of the beat in which it was queued, see beatMask.
type beat uint64

// ledger is what the backlogs of one shard are counted in, and the clock by which
// they wait. The shard owns it, but for sizes.
type ledger struct {
	memory   *backlogMemory
	counters *stats.Shard
	sizes    sizes
	attended time.Duration // for how long the shard has looked after its clients, hold-ups left out
	scanned  int           // entries that a command had looked through; the shard begins anew with each
}

func (l *ledger) now() beat { return beat(l.attended / settings.BeatLength) }
