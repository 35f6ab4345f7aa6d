package ingest

import (
	"fleetcast/poller"
	"testing"
	"time"
)

// TestDrainPatience: a publisher that sends is served for DrainPatience, and the time
// in which the machine held the loop up does not count.
func TestDrainPatience(t *testing.T) {
	in := newTestPublishLoop(t)
	p, _ := newTestPublisher(t, in)
	in.StartDrain(func() {})
	look := func(after time.Duration) {
		p.readAt = in.Loop.Now()
		in.drainLooked = in.Loop.Now() - after
		in.continueDrain()
	}
	if look(DrainPatience); p.closing {
		t.Fatal("a publisher is cut off after the loop was held up")
	}
	for served := 2 * poller.TickInterval; served+poller.TickInterval < DrainPatience; served += poller.TickInterval {
		if look(poller.TickInterval); p.closing {
			t.Fatalf("a publisher is cut off after %v", served+poller.TickInterval)
		}
	}
	if look(poller.TickInterval); !p.closing {
		t.Error("a publisher that does not stop is not cut off")
	}
}
