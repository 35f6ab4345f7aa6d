package stream

import (
	"testing"

	"fleetcast/gateway/rules"
)

// TestFramesHaveNoGaps: an event that goes between two looks at what is kept ends the frames
// before it. Those of later events must not take its place.
func TestFramesHaveNoGaps(t *testing.T) {
	p := newPageTest(rules.DefaultHistory)
	in := &Interest{Name: "news", Port: NewPort(0)}
	p.wakes = NewWakeSet(1)
	p.publish(0, "news", "1", "2", "3", "4", "5")
	if _, err := p.streams.Join(in); err != nil {
		t.Fatal(err)
	}
	f := Frames{First: 1}
	p.streams.AppendKept(&f, in, FormatPlain, 3, 0, 1<<20)
	if f.Next() != 4 {
		t.Fatalf("frames of %d events, want 3", len(f.Ends))
	}
	p.streams.Purge([]byte("news"), 0)
	p.publish(0, "news", "6", "7")
	if p.streams.AppendKept(&f, in, FormatPlain, 7, 0, 1<<20); f.Next() != 4 {
		t.Errorf("frames go on to event %d although event 4 is gone", f.Next()-1)
	}
	later := Frames{First: 6}
	if p.streams.AppendKept(&later, in, FormatPlain, 7, 0, 1<<20); later.Next() != 8 {
		t.Errorf("frames of %d events that are kept, want 2", len(later.Ends))
	}
	part, ends := later.Part(7, 7)
	if len(ends) != 1 || len(part) != int(later.Ends[1]-later.Ends[0]) {
		t.Errorf("a part of %d bytes and %d events", len(part), len(ends))
	}
}
