package backlog

import (
	"time"

	"fleetcast/gateway/settings"
	"fleetcast/gateway/stats"
	"fleetcast/gateway/stream"
)

// Beat is a moment of a ledger's clock, in units of settings.BeatLength. An event
// that waits has only the low bits of the beat in which it was queued, see beatMask.
type Beat uint64

// Ledger is what the backlogs of one shard are counted in, and the clock by which
// they wait. The shard owns it, but for sizes.
type Ledger struct {
	Memory   *Memory
	Counters *stats.Shard
	Formats  *stream.Formats
	Sizes    sizes
	Attended time.Duration // for how long the shard has looked after its clients, hold-ups left out
	Scanned  int           // entries that a command had looked through; the shard begins anew with each
}

// Now is the present beat of the ledger's clock.
func (l *Ledger) Now() Beat { return Beat(l.Attended / settings.BeatLength) }
