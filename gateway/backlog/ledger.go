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

// Ledger counts the backlogs of one shard, and has the clock by which they wait. The
// shard owns it, except Sizes, which any goroutine may read.
type Ledger struct {
	Memory   *Memory
	Counters *stats.Shard
	Formats  *stream.Formats
	Sizes    sizes
	Attended time.Duration // for how long the shard has served its clients, without hold-ups
	Scanned  int           // entries that a command has searched; the shard clears it for each command
}

// Now is the present beat of the ledger's clock.
func (l *Ledger) Now() Beat { return Beat(l.Attended / settings.BeatLength) }
