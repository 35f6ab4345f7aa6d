//go:build invariants

package backlog

import (
	"strings"
	"testing"

	"fleetcast/gateway/stats"
	"fleetcast/gateway/stream"
)

// TestInvariants breaks each sum of a backlog.
func TestInvariants(t *testing.T) {
	for finds, breaks := range map[string]func(*Backlog){
		"":                              func(*Backlog) {},
		"counts {bytes:6":               func(b *Backlog) { b.Bytes++ },
		"own:6":                         func(b *Backlog) { b.OwnBytes++ },
		"live:1":                        func(b *Backlog) { b.live++ },
		"droppable:{events:1 bytes:10}": func(b *Backlog) { b.droppable.add(10) },
		"settled:{events:1 bytes:10}":   func(b *Backlog) { b.settled.add(10) },
		"is in class 1":                 func(b *Backlog) { b.Class = 1 },
		"the first of 1 events":         func(b *Backlog) { b.events.Push(waiting{}) },
	} {
		counters := stats.NewShard()
		b := New(&Ledger{Memory: &Memory{}, Counters: &counters}, stream.FormatPlain, 0)
		b.PushOwn(OwnReply, []byte("reply"), 0)
		breaks(b)
		if err := b.Violation(); (err == nil) != (finds == "") || err != nil && !strings.Contains(err.Error(), finds) {
			t.Errorf("%s: the violation is %v", finds, err)
		}
	}
}
