package gateway

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"fleetcast/codec/command"
	"fleetcast/gateway/limits"
	"fleetcast/poller"
)

// testStream returns a stream without events.
func testStream(name string) *stream {
	return &stream{name: name, prefix: command.EventPrefix(name)}
}

// nextTestEvent returns the stream's next event, held once, by the test.
func nextTestEvent(st *stream, key, data string) *event {
	st.offset++
	return newEvent(st, []byte(key), []byte(data), new(limits.Account), 0, 0, 1)
}

// unlimited is an account that never runs dry.
func unlimited() *limits.Account {
	return &limits.Account{Credits: limits.NewCredits(1<<40, 1<<40, func() {})}
}

func publishTo(t *testing.T, s *streams, from *limits.Account, wakes *wakeSet, name string) position {
	t.Helper()
	cost := limits.EventCost([]byte(name), nil, []byte("1"))
	if !from.Take(cost) {
		t.Error("no credit")
	}
	return s.publish([]byte(name), nil, []byte("1"), from, cost, 0, wakes)
}

// mailed takes a shard's mail and returns the offsets, which must be for c.
func mailed(t *testing.T, c *interest) (offsets []uint64) {
	t.Helper()
	for {
		m, ok := c.port.mailbox.Take()
		if !ok {
			return offsets
		}
		if m.interest != c {
			t.Errorf("an event was posted to another channel of the name %q", m.interest.name)
		}
		if want := string(command.AppendEvent(nil, command.EventPrefix(c.name), m.event.offset, []byte("1"))); !strings.HasSuffix(string(m.event.frame), want) {
			t.Errorf("the frame is %q, want the message %q in it", m.event.frame, want)
		}
		offsets = append(offsets, m.event.offset)
		m.event.served()
	}
}

func TestStreamJoinPublishLeave(t *testing.T) {
	s, from, wakes := newStreams(10), unlimited(), newWakeSet(2)
	first := publishTo(t, s, from, &wakes, "news")
	if first.offset != 1 || first.subscribers != 0 || len(wakes.ports) != 0 || from.Credits.InUse() != 0 {
		t.Fatalf("an event for nobody: %+v, %d shards to wake, %d credits in use", first, len(wakes.ports), from.Credits.InUse())
	}
	a := &interest{name: "news", port: newPort(0)}
	b := &interest{name: "news", port: newPort(1)}
	a.subscribers.Store(3)
	b.subscribers.Store(4)
	join := func(c *interest, want uint64) {
		t.Helper()
		p, err := s.join(c)
		if err != nil || p.offset != want || p.epoch != first.epoch {
			t.Fatalf("join: %+v, %v; want offset %d in epoch %s", p, err, want, first.epoch)
		}
	}
	join(a, 1)
	if p := publishTo(t, s, from, &wakes, "news"); p.offset != 2 || p.subscribers != 3 {
		t.Fatalf("an event for one shard: %+v", p)
	}
	join(b, 2)
	if p := publishTo(t, s, from, &wakes, "news"); p.offset != 3 || p.subscribers != 7 {
		t.Fatalf("an event for two shards: %+v", p)
	}
	if len(wakes.ports) != 2 {
		t.Fatalf("%d shards to wake, want 2, each once", len(wakes.ports))
	}
	if from.Credits.InUse() == 0 {
		t.Fatal("events under way hold no credits")
	}
	s.leave(a)
	publishTo(t, s, from, &wakes, "news")
	if got := fmt.Sprint(mailed(t, a), mailed(t, b)); got != "[2 3] [3 4]" {
		t.Fatalf("the shards got the offsets %s, want [2 3] [3 4]", got)
	}
	if n := from.Credits.InUse(); n != 0 || from.InUse.Load() != 0 {
		t.Fatalf("%d credits in use after every shard has served", n)
	}
	s.leave(b)
	if p := publishTo(t, s, from, &wakes, "news"); p.offset != 5 || p.subscribers != 0 {
		t.Fatalf("an event after all left: %+v", p)
	}
}

func TestStreamSweep(t *testing.T) {
	s, from, wakes := newStreams(10), unlimited(), newWakeSet(1)
	sweep := func() {
		for i := range stripeCount {
			s.sweep(i)
		}
	}
	kept := &interest{name: "kept", port: newPort(0)}
	if _, err := s.join(kept); err != nil {
		t.Fatal(err)
	}
	used := publishTo(t, s, from, &wakes, "used")
	idle := publishTo(t, s, from, &wakes, "idle")
	sweep()
	if p := publishTo(t, s, from, &wakes, "used"); p.offset != 2 || p.epoch != used.epoch {
		t.Fatalf("a stream in use was swept: %+v", p)
	}
	if n := s.count.Load(); n != 3 {
		t.Fatalf("%d streams after one sweep, want all 3", n)
	}
	sweep()
	if n := s.count.Load(); n != 2 {
		t.Fatalf("%d streams after two sweeps, want 2: one had not been used", n)
	}
	if p := publishTo(t, s, from, &wakes, "used"); p.offset != 3 || p.epoch != used.epoch {
		t.Fatalf("a stream in use was swept: %+v", p)
	}
	if p := publishTo(t, s, from, &wakes, "idle"); p.offset != 1 || p.epoch == idle.epoch {
		t.Fatalf("a stream that was swept goes on with %+v, want offset 1 in another epoch than %s", p, idle.epoch)
	}
	for range 5 {
		sweep()
	}
	if n := s.count.Load(); n != 1 {
		t.Fatalf("%d streams, want the one that a shard wants", n)
	}
	publishTo(t, s, from, &wakes, "kept")
	s.leave(kept)
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
	s := newStreams(1)
	for _, name := range []string{"a", "b", "c"} {
		c := &interest{name: name, port: newPort(0)}
		if _, err := s.join(c); err != nil {
			t.Fatalf("join %s: %v", name, err)
		}
		s.leave(c)
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
	s := newStreams(10)
	start := &interest{name: "news", port: newPort(0)}
	if _, err := s.join(start); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range publishers {
		all.Go(func() {
			from, wakes := unlimited(), newWakeSet(3)
			for range events {
				publishTo(t, s, from, &wakes, "news")
			}
		})
	}
	for i := range 2 {
		all.Go(func() {
			c := &interest{name: "news", port: newPort(i + 1)}
			for range 100 {
				p, err := s.join(c)
				if err != nil {
					t.Error(err)
					return
				}
				for range 20 {
					checkRun(t, mailed(t, c), &p.offset)
				}
				s.leave(c)
				checkRun(t, mailed(t, c), &p.offset)
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
	e := newEvent(testStream("x"), nil, []byte(`"payload"`), from, 500, 0, 2)
	frame := string(e.frame)
	e.served()
	if n := from.Credits.InUse(); n != 500 {
		t.Errorf("%d credits in use after one of two shards has served", n)
	}
	e.hold() // as a backlog does
	e.served()
	if n := from.Credits.InUse(); n != 0 {
		t.Errorf("%d credits in use after both shards have served", n)
	}
	if string(e.frame) != frame {
		t.Errorf("an event that a backlog holds has changed to %q", e.frame)
	}
	e.release()
	if e.frame != nil || e.from != nil {
		t.Error("an event without holders keeps its frame or its account")
	}
	defer func() {
		if recover() == nil {
			t.Error("an event may be released more often than held")
		}
	}()
	e.release()
}

func TestWakeSetListsOnce(t *testing.T) {
	p, w := newPort(0), newWakeSet(1)
	loop, err := poller.NewLoop(nil, poller.LoopConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	p.loop = loop
	for range 3 {
		w.add(p)
	}
	if len(w.ports) != 1 {
		t.Errorf("%d shards listed, want 1", len(w.ports))
	}
	w.wake()
	w.add(p)
	if len(w.ports) != 1 {
		t.Errorf("after waking, %d shards listed, want 1", len(w.ports))
	}
}
