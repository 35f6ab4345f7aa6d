package stream

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"fleetcast/codec/command"
	"fleetcast/gateway/dialect/fleetcastv1"
	"fleetcast/gateway/limits"
	"fleetcast/poller"
)

// v1 are the formats of one dialect.
var v1 = NewFormats(fleetcastv1.Dialect{})

// TestStream returns a stream without events.
func testStream(name string) *Stream {
	return &Stream{Name: name, prefix: command.AppendEventPrefix(nil, name)}
}

// nextTestEvent returns the stream's next event, held once, by the test.
func nextTestEvent(st *Stream, key, data string) *Event {
	st.Offset++
	return newEvent(v1, st, &Submission{Key: []byte(key), Data: []byte(data), From: new(limits.Account)}, 1)
}

// Unlimited is an account that never runs dry.
func unlimited() *limits.Account {
	return &limits.Account{Credits: limits.NewCredits(1<<40, 1<<40, func() {})}
}

func publishTo(t *testing.T, s *Streams, from *limits.Account, wakes *WakeSet, name string) Position {
	t.Helper()
	cost := limits.EventCost([]byte(name), nil, []byte("1"))
	if !from.Take(cost) {
		t.Error("no credit")
	}
	r := NewRequest(s, wakes, new(uint64))
	r.Begin(nil, from, 0)
	r.Submit([]byte(name), nil, []byte("1"))
	return r.Results[0].At
}

// mailed takes a shard's mail and returns the offsets, which must be for c.
func mailed(t *testing.T, c *Interest) (offsets []uint64) {
	t.Helper()
	for {
		m, ok := c.Port.Mailbox.Take()
		if !ok {
			return offsets
		}
		if m.Interest != c {
			t.Errorf("an event was posted to another channel of the name %q", m.Interest.Name)
		}
		if want := string(command.AppendEvent(nil, command.AppendEventPrefix(nil, c.Name), m.Event.Offset, []byte("1"))); !strings.HasSuffix(string(m.Event.Frame), want) {
			t.Errorf("the frame is %q, want the message %q in it", m.Event.Frame, want)
		}
		offsets = append(offsets, m.Event.Offset)
		m.Event.Served()
	}
}

func TestStreamJoinPublishLeave(t *testing.T) {
	s, from, wakes := NewStreams(10, v1), unlimited(), NewWakeSet(2)
	first := publishTo(t, s, from, &wakes, "news")
	if first.Offset != 1 || first.Subscribers != 0 || len(wakes.ports) != 0 || from.Credits.InUse() != 0 {
		t.Fatalf("an event for nobody: %+v, %d shards to wake, %d credits in use", first, len(wakes.ports), from.Credits.InUse())
	}
	a := &Interest{Name: "news", Port: NewPort(0)}
	b := &Interest{Name: "news", Port: NewPort(1)}
	a.Subscribers.Store(3)
	b.Subscribers.Store(4)
	join := func(c *Interest, want uint64) {
		t.Helper()
		p, err := s.Join(c)
		if err != nil || p.Offset != want || p.Epoch != first.Epoch {
			t.Fatalf("join: %+v, %v; want offset %d in epoch %s", p, err, want, first.Epoch)
		}
	}
	join(a, 1)
	if p := publishTo(t, s, from, &wakes, "news"); p.Offset != 2 || p.Subscribers != 3 {
		t.Fatalf("an event for one shard: %+v", p)
	}
	join(b, 2)
	if p := publishTo(t, s, from, &wakes, "news"); p.Offset != 3 || p.Subscribers != 7 {
		t.Fatalf("an event for two shards: %+v", p)
	}
	if len(wakes.ports) != 2 {
		t.Fatalf("%d shards to wake, want 2, each once", len(wakes.ports))
	}
	if from.Credits.InUse() == 0 {
		t.Fatal("events under way hold no credits")
	}
	s.Leave(a)
	publishTo(t, s, from, &wakes, "news")
	if got := fmt.Sprint(mailed(t, a), mailed(t, b)); got != "[2 3] [3 4]" {
		t.Fatalf("the shards got the offsets %s, want [2 3] [3 4]", got)
	}
	if n := from.Credits.InUse(); n != 0 || from.InUse.Load() != 0 {
		t.Fatalf("%d credits in use after every shard has served", n)
	}
	s.Leave(b)
	if p := publishTo(t, s, from, &wakes, "news"); p.Offset != 5 || p.Subscribers != 0 {
		t.Fatalf("an event after all left: %+v", p)
	}
}

func TestStreamSweep(t *testing.T) {
	s, from, wakes := NewStreams(10, v1), unlimited(), NewWakeSet(1)
	sweep := func() {
		for i := range StripeCount {
			s.Sweep(i)
		}
	}
	kept := &Interest{Name: "kept", Port: NewPort(0)}
	if _, err := s.Join(kept); err != nil {
		t.Fatal(err)
	}
	used := publishTo(t, s, from, &wakes, "used")
	idle := publishTo(t, s, from, &wakes, "idle")
	sweep()
	if p := publishTo(t, s, from, &wakes, "used"); p.Offset != 2 || p.Epoch != used.Epoch {
		t.Fatalf("a stream in use was swept: %+v", p)
	}
	if n := s.count.Load(); n != 3 {
		t.Fatalf("%d streams after one sweep, want all 3", n)
	}
	sweep()
	if n := s.count.Load(); n != 2 {
		t.Fatalf("%d streams after two sweeps, want 2: one had not been used", n)
	}
	if p := publishTo(t, s, from, &wakes, "used"); p.Offset != 3 || p.Epoch != used.Epoch {
		t.Fatalf("a stream in use was swept: %+v", p)
	}
	if p := publishTo(t, s, from, &wakes, "idle"); p.Offset != 1 || p.Epoch == idle.Epoch {
		t.Fatalf("a stream that was swept goes on with %+v, want offset 1 in another epoch than %s", p, idle.Epoch)
	}
	for range 5 {
		sweep()
	}
	if n := s.count.Load(); n != 1 {
		t.Fatalf("%d streams, want the one that a shard wants", n)
	}
	publishTo(t, s, from, &wakes, "kept")
	s.Leave(kept)
	sweep() // it was used since the last one
	if n := s.count.Load(); n != 1 {
		t.Fatal("a stream was swept at once when its last subscriber left")
	}
	sweep()
	if n := s.count.Load(); n != 0 {
		t.Fatalf("%d streams are left", n)
	}
}

// A stream to which nobody published has no position to keep. Who subscribes to
// one new name after the other must not fill the table with them.
func TestStreamWithoutEventsIsForgottenAtOnce(t *testing.T) {
	s := NewStreams(1, v1)
	for _, name := range []string{"a", "b", "c"} {
		c := &Interest{Name: name, Port: NewPort(0)}
		if _, err := s.Join(c); err != nil {
			t.Fatalf("join %s: %v", name, err)
		}
		s.Leave(c)
	}
	if n := s.count.Load(); n != 0 {
		t.Errorf("%d streams are left", n)
	}
}

// TestStreamPublishersAgree has several goroutines publish to one channel while
// shards join and leave: offsets are unique and without holes, and each shard
// gets a run of them without holes from where it joined.
func TestStreamPublishersAgree(t *testing.T) {
	const publishers, events = 4, 2_000
	s := NewStreams(10, v1)
	start := &Interest{Name: "news", Port: NewPort(0)}
	if _, err := s.Join(start); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range publishers {
		all.Go(func() {
			from, wakes := unlimited(), NewWakeSet(3)
			for range events {
				publishTo(t, s, from, &wakes, "news")
			}
		})
	}
	for i := range 2 {
		all.Go(func() {
			c := &Interest{Name: "news", Port: NewPort(i + 1)}
			for range 100 {
				p, err := s.Join(c)
				if err != nil {
					t.Error(err)
					return
				}
				for range 20 {
					checkRun(t, mailed(t, c), &p.Offset)
				}
				s.Leave(c)
				checkRun(t, mailed(t, c), &p.Offset)
			}
		})
	}
	all.Wait()
	var last uint64
	checkRun(t, mailed(t, start), &last)
	if last != publishers*events {
		t.Errorf("%d events arrived, want %d", last, publishers*events)
	}
}

func checkRun(t *testing.T, offsets []uint64, last *uint64) {
	t.Helper()
	for _, offset := range offsets {
		if offset != *last+1 {
			t.Errorf("offset %d follows %d", offset, *last)
		}
		*last = offset
	}
}

func TestEventReferences(t *testing.T) {
	from := unlimited()
	if !from.Take(500) {
		t.Fatal("no credit")
	}
	e := newEvent(v1, testStream("x"), &Submission{Data: []byte(`"payload"`), From: from, Cost: 500}, 2)
	frame := string(e.Frame)
	e.Served()
	if n := from.Credits.InUse(); n != 500 {
		t.Errorf("%d credits in use after one of two shards has served", n)
	}
	e.Hold() // as a backlog does
	e.Served()
	if n := from.Credits.InUse(); n != 0 {
		t.Errorf("%d credits in use after both shards have served", n)
	}
	if string(e.Frame) != frame {
		t.Errorf("an event that a backlog holds has changed to %q", e.Frame)
	}
	e.Release()
	if e.Frame != nil || e.from != nil {
		t.Error("an event without holders keeps its frame or its account")
	}
	defer func() {
		if recover() == nil {
			t.Error("an event may be released more often than held")
		}
	}()
	e.Release()
}

func TestWakeSetListsOnce(t *testing.T) {
	p, w := NewPort(0), NewWakeSet(1)
	loop, err := poller.NewLoop(nil, poller.LoopConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	p.Loop = loop
	for range 3 {
		w.add(p)
	}
	if len(w.ports) != 1 {
		t.Errorf("%d shards listed, want 1", len(w.ports))
	}
	w.Wake()
	w.add(p)
	if len(w.ports) != 1 {
		t.Errorf("after waking, %d shards listed, want 1", len(w.ports))
	}
}
