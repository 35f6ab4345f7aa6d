//go:build invariants

package backlog

import (
	"fmt"

	"fleetcast/gateway/rules"
)

// Violation says which of the backlog's sums are not those of what it holds, if any.
// It is there with the build tag invariants.
func (b *Backlog) Violation() error {
	type sums struct {
		bytes, own, live   int
		droppable, settled amount
	}
	got := sums{own: len(b.last)}
	if b.half.of.event == nil {
		got.own += len(b.half.rest)
	} else {
		got.bytes = len(b.half.rest)
	}
	for i := range b.own.Len() {
		got.own += len(b.own.At(i).bytes)
	}
	for i := range b.events.Len() {
		w := b.events.At(i)
		if w.event == nil {
			continue
		}
		size := len(b.frame(w))
		got.live++
		got.bytes += size
		switch {
		case w.settled():
			got.settled.add(size)
		case w.policy() != rules.SlowDisconnect:
			got.droppable.add(size)
		}
	}
	got.bytes += got.own
	if counted := (sums{b.Bytes, b.OwnBytes, b.live, b.droppable.amount, b.settled}); got != counted {
		return fmt.Errorf("a backlog counts %+v, and has %+v", counted, got)
	}
	if class := sizeClass(b.Bytes + b.memory); b.Class != class {
		return fmt.Errorf("a backlog is in class %d, its size in %d", b.Class, class)
	}
	if b.events.Len() > 0 && b.events.At(0).event == nil {
		return fmt.Errorf("the first of %d events that wait was removed", b.events.Len())
	}
	return nil
}
