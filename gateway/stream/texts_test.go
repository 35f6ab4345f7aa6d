package stream

import (
	"math/rand/v2"
	"testing"
)

// TestTextTable compares a small table, whose texts collide in its index, with a slice.
func TestTextTable(t *testing.T) {
	for _, room := range []int{8, 16, 64} {
		var x idempotency
		var table textTable
		var model []firstEvent // oldest first
		random := rand.New(rand.NewPCG(1, uint64(room)))
		now := historyTime(0)
		find := func(id textID) (firstEvent, bool) {
			for i := len(model) - 1; i >= 0; i-- {
				if model[i].id == id {
					return model[i], !isOver(model[i].at, now)
				}
			}
			return firstEvent{}, false
		}
		for step := range 20_000 {
			if random.IntN(100) == 0 {
				now += uint32(random.IntN(int(textTicks)))
			}
			id := textID{random.Uint64N(uint64(room)), random.Uint64N(6) * 7}
			want, known := find(id)
			if got, ok := table.find(id, now); ok != known || ok && got != want {
				t.Fatalf("room %d, step %d: found %+v, %v, want %+v, %v", room, step, got, ok, want, known)
			}
			switch {
			case !known:
				first := firstEvent{id: id, offset: uint64(step), at: now}
				table.add(&x, first, room)
				for n := 0; n < 2 && len(model) > 0 && isOver(model[0].at, now); n++ {
					model = model[1:]
				}
				if len(model) == room {
					model = model[1:]
				}
				model = append(model, first)
			case random.IntN(50) == 0:
				for table.sweep(&x, now) {
				}
				for len(model) > 0 && isOver(model[0].at, now) {
					model = model[1:]
				}
			}
			if table.length != len(model) || x.kept.Load() != int64(len(model)) || table.length > room || len(table.index) != 2*len(table.events) {
				t.Fatalf("room %d, step %d: %d texts, %d counted, want %d", room, step, table.length, x.kept.Load(), len(model))
			}
		}
	}
}
