package stream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"fleetcast/codec/command"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/stats"
)

// maker publishes to streams under conditions. It belongs to one goroutine.
type maker struct {
	request           *Request
	from              *limits.Account
	at                time.Duration
	events, duplicate uint64
}

func newMaker(s *Streams, of limits.Maker) *maker {
	m := &maker{from: unlimited()}
	m.from.Maker = of
	wakes := NewWakeSet(1)
	m.request = NewRequest(s, &wakes, &m.events)
	m.request.Duplicates = &m.duplicate
	return m
}

// publish publishes an event and returns what becomes of it.
func (m *maker) publish(channel, text string, expect *command.Since) Result {
	c := command.Conditions{Idempotency: []byte(text)}
	if expect != nil {
		c.Expect, c.HasExpect = *expect, true
	}
	cost := limits.EventCost([]byte(channel), nil, []byte("1"))
	m.from.Take(cost)
	m.request.Begin(nil, m.from, m.at)
	m.request.Require(c.OrNil())
	m.request.Submit([]byte(channel), nil, []byte("1"))
	return m.request.Results[0]
}

// at is a position as a publisher expects it.
func at(p Position) *command.Since { return &command.Since{Epoch: p.Epoch[:], Offset: p.Offset} }

// conflictAt is where a refusal says that the channel is, "" if it is none.
func conflictAt(err error) string {
	refusal, ok := errors.AsType[*command.Error](err)
	if !ok || refusal.Code != command.Conflict || refusal.Message != fmt.Sprintf("the channel is at offset %d of epoch %s", refusal.Now.Offset, refusal.Now.Epoch) {
		return ""
	}
	return fmt.Sprintf("%s:%d", refusal.Now.Epoch, refusal.Now.Offset)
}

func TestIdempotency(t *testing.T) {
	s := NewStreams(10, v1)
	service, client := newMaker(s, limits.ByPublisher), newMaker(s, limits.ByClient)
	heard := &Interest{Name: "news", Port: NewPort(0)}
	heard.Subscribers.Store(7)
	if _, err := s.Join(heard); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		by            *maker
		channel, text string
		offset        uint64
		duplicate     bool
	}{
		{service, "news", "a", 1, false},
		{service, "news", "a", 1, true},
		{service, "news", "b", 2, false},
		{service, "news", "", 3, false},
		{service, "news", "", 4, false},
		{service, "news", "a", 1, true},
		{service, "sport", "a", 1, false}, // each channel by itself
		{service, "sport", "a", 1, true},
		{client, "news", "a", 5, false}, // a client has not what publishers have
		{client, "news", "a", 5, true},
		{client, "news", "x", 6, false},
		{service, "news", "x", 7, false}, // nor have they what it has
		{client, "news", "x", 6, true},
	}
	for i, step := range steps {
		got := step.by.publish(step.channel, step.text, nil)
		want := Position{Epoch: s.stripe([]byte(step.channel)).byName[step.channel].epoch, Offset: step.offset, Duplicate: step.duplicate}
		if step.channel == "news" {
			want.Subscribers = 7 // a duplicate has the whole first answer
		}
		if got.Err != nil || got.At != want {
			t.Errorf("step %d: %+v, %v, want %+v", i, got.At, got.Err, want)
		}
	}
	if got := fmt.Sprint(mailed(t, heard)); got != "[1 2 3 4 5 6 7]" {
		t.Errorf("the shard got the offsets %s", got)
	}
	if service.duplicate != 3 || client.duplicate != 2 || service.events != 6 || client.events != 2 || service.from.Sent.Events != 6 {
		t.Errorf("counted are %d and %d duplicates, %d and %d events", service.duplicate, client.duplicate, service.events, client.events)
	}
	if n := service.from.Credits.InUse() + client.from.Credits.InUse(); n != 0 {
		t.Errorf("%d credits in use", n)
	}
}

// TestIdempotencyWindow has a text come again when its window ends, by the clock that submissions give.
func TestIdempotencyWindow(t *testing.T) {
	s := NewStreams(10, v1)
	m := newMaker(s, limits.ByPublisher)
	steps := []struct {
		at     time.Duration
		offset uint64
	}{
		{10 * time.Second, 1},
		{10*time.Second + IdempotencyWindow/2, 1},
		{9 * time.Second, 1}, // the clock of another loop may be behind
		{10*time.Second + IdempotencyWindow - historyTick, 1},
		{10*time.Second + IdempotencyWindow, 2}, // from here on it counts anew
		{10*time.Second + 2*IdempotencyWindow - historyTick, 2},
		{10*time.Second + 2*IdempotencyWindow, 3},
		{10*time.Second + 20*IdempotencyWindow, 4},
	}
	for _, step := range steps {
		m.at = step.at
		if got := m.publish("news", "a", nil); got.At.Offset != step.offset {
			t.Errorf("at %v: %+v, want offset %d", step.at, got.At, step.offset)
		}
	}
	if n := s.idempotency.kept.Load(); n != 1 {
		t.Errorf("%d texts are remembered, want the last one", n)
	}
	s.SweepIdempotency(m.at + IdempotencyWindow - historyTick)
	before := s.idempotency.kept.Load()
	s.SweepIdempotency(m.at + IdempotencyWindow)
	if after := s.idempotency.kept.Load(); before != 1 || after != 0 {
		t.Errorf("%d texts are remembered before the end, %d behind it", before, after)
	}
}

func TestExpect(t *testing.T) {
	s := NewStreams(10, v1)
	m := newMaker(s, limits.ByPublisher)
	// The refusal for a channel that nobody has published to tells where its first event will follow.
	nothing := m.publish("news", "", &command.Since{})
	empty := s.stripe([]byte("news"))
	begin := Position{Epoch: newEpoch(s.seed, "news", empty.life)}
	if got := conflictAt(nothing.Err); got != fmt.Sprintf("%s:0", begin.Epoch[:]) || len(empty.byName) != 0 {
		t.Fatalf("an empty channel: %v, %d streams", nothing.Err, len(empty.byName))
	}
	now := begin
	for i := range 3 {
		got := m.publish("news", "", at(now))
		if got.Err != nil || got.At.Epoch != now.Epoch || got.At.Offset != now.Offset+1 {
			t.Fatalf("event %d: %+v, %v", i, got.At, got.Err)
		}
		now = got.At
	}
	other, behind, ahead := now, now, now
	other.Epoch[0] ^= 1
	behind.Offset--
	ahead.Offset++
	want := fmt.Sprintf("%s:3", now.Epoch[:])
	for name, expect := range map[string]*command.Since{
		"another epoch": at(other), "behind": at(behind), "ahead": at(ahead), "no epoch": {Offset: 3},
		"a longer epoch": {Epoch: append(now.Epoch[:], 'x'), Offset: 3},
	} {
		if got := m.publish("news", "", expect); conflictAt(got.Err) != want || got.At != (Position{}) {
			t.Errorf("%s: %+v, %v, want a conflict at %s", name, got.At, got.Err, want)
		}
		if refusal := m.request.Refusal(); refusal == nil || refusal.Code != command.Conflict {
			t.Errorf("%s: the request is refused with %v", name, refusal)
		}
	}
	if got := m.publish("news", "", nil); got.At.Offset != 4 || m.events != 4 || m.from.Credits.InUse() != 0 {
		t.Errorf("behind the conflicts: %+v, %d events, %d credits in use", got.At, m.events, m.from.Credits.InUse())
	}
}

// TestIdempotencyBeforeExpect: a repeated event has moved its channel on by itself, which is no conflict. And an
// event that was refused is not remembered.
func TestIdempotencyBeforeExpect(t *testing.T) {
	s := NewStreams(10, v1)
	m := newMaker(s, limits.ByPublisher)
	begin := m.publish("news", "", nil).At
	first := m.publish("news", "a", at(begin)).At
	again := m.publish("news", "a", at(begin))
	if again.Err != nil || !again.At.Duplicate || again.At.Offset != first.Offset {
		t.Errorf("repeated: %+v, %v", again.At, again.Err)
	}
	if got := m.publish("news", "b", at(begin)); conflictAt(got.Err) == "" {
		t.Errorf("another one: %+v, %v", got.At, got.Err)
	}
	if got := m.publish("news", "b", at(first)); got.Err != nil || got.At.Duplicate || got.At.Offset != 3 {
		t.Errorf("the refused one, at the right place: %+v, %v", got.At, got.Err)
	}
}

// TestIdempotencyWithoutRoom has channels for which there is no stream.
func TestIdempotencyWithoutRoom(t *testing.T) {
	s := NewStreams(1, v1)
	m := newMaker(s, limits.ByPublisher)
	if _, err := s.Join(&Interest{Name: "news", Port: NewPort(0)}); err != nil {
		t.Fatal(err)
	}
	first := m.publish("other", "a", nil)
	again := m.publish("other", "a", nil)
	if first.At.Offset != 1 || first.At.Duplicate || again.At != (Position{Epoch: first.At.Epoch, Offset: 1, Duplicate: true}) {
		t.Errorf("published: %+v, again: %+v", first.At, again.At)
	}
	if next := m.publish("other", "b", nil); next.At.Epoch == first.At.Epoch || next.At.Offset != 1 {
		t.Errorf("the next one: %+v behind %+v", next.At, first.At)
	}
	refused := m.publish("other", "c", at(first.At))
	refusal, ok := errors.AsType[*command.Error](refused.Err)
	if !ok || refusal.Now.Offset != 0 {
		t.Fatalf("expected where it was: %+v, %v", refused.At, refused.Err)
	}
	if got := m.publish("other", "c", refusal.Now); got.Err != nil || got.At.Offset != 1 || string(got.At.Epoch[:]) != string(refusal.Now.Epoch) {
		t.Errorf("expected where it is: %+v, %v", got.At, got.Err)
	}
	if s.stripe([]byte("other")).byName["other"] != nil {
		t.Error("there is a stream")
	}
}

// TestIdempotencyForgottenStream: what was published stays published if its stream is forgotten.
func TestIdempotencyForgottenStream(t *testing.T) {
	s := NewStreams(1, v1)
	m := newMaker(s, limits.ByPublisher)
	first := m.publish("one", "a", nil).At
	m.publish("two", "a", nil) // takes its room
	if s.stripe([]byte("one")).byName["one"] != nil {
		t.Fatal("the stream is still there")
	}
	if again := m.publish("one", "a", nil).At; !again.Duplicate || again.Epoch != first.Epoch || again.Offset != 1 {
		t.Errorf("published: %+v, again: %+v", first, again)
	}
	if next := m.publish("one", "b", nil).At; next.Epoch == first.Epoch || next.Offset != 1 {
		t.Errorf("the next one: %+v behind %+v", next, first)
	}
}

// TestIdempotencyRace has publishers race with the same texts in the same channels: each is published once, and all
// are told the same.
func TestIdempotencyRace(t *testing.T) {
	const makers, texts = 4, 2_000
	s := NewStreams(10, v1)
	var results [makers][texts]Position
	var duplicates, events uint64
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range makers {
		all.Go(func() {
			m := newMaker(s, limits.ByPublisher)
			for n := range texts {
				results[i][n] = m.publish(fmt.Sprint("channel-", n%3), fmt.Sprint(n), nil).At
			}
			mu.Lock()
			defer mu.Unlock()
			duplicates, events = duplicates+m.duplicate, events+m.events
		})
	}
	all.Wait()
	if events != texts || duplicates != (makers-1)*texts {
		t.Errorf("%d events, %d duplicates", events, duplicates)
	}
	for n := range texts {
		firsts := 0
		for i := range makers {
			p := results[i][n]
			if !p.Duplicate {
				firsts++
			}
			if p.Epoch != results[0][n].Epoch || p.Offset != results[0][n].Offset {
				t.Fatalf("text %d: %+v and %+v", n, p, results[0][n])
			}
		}
		if firsts != 1 {
			t.Fatalf("text %d was published %d times", n, firsts)
		}
	}
}

// TestExpectRace has publishers increment one number: each reads where the channel is and publishes there, and nobody
// overtakes another.
func TestExpectRace(t *testing.T) {
	const makers, rounds = 4, 500
	s := NewStreams(10, v1)
	var all sync.WaitGroup
	var conflicts [makers]int
	for i := range makers {
		all.Go(func() {
			m := newMaker(s, limits.ByPublisher)
			expect := &command.Since{}
			for done := 0; done < rounds; {
				got := m.publish("news", "", expect)
				refusal, refused := errors.AsType[*command.Error](got.Err)
				if refused {
					conflicts[i]++
					expect = refusal.Now
					continue
				}
				if got.At.Offset != expect.Offset+1 {
					t.Errorf("published at %d, expected %d", got.At.Offset, expect.Offset)
				}
				done++
				expect = at(got.At)
			}
		})
	}
	all.Wait()
	if got := newMaker(s, limits.ByPublisher).publish("news", "", nil); got.At.Offset != makers*rounds+1 {
		t.Errorf("the channel is at %d", got.At.Offset)
	}
}

// TestIdempotencyBounds has twice as many texts of clients come as are remembered: the oldest go
// first, and neither lose theirs because of the others.
func TestIdempotencyBounds(t *testing.T) {
	s := NewStreams(10, v1)
	service, client := newMaker(s, limits.ByPublisher), newMaker(s, limits.ByClient)
	service.publish("news", "mine", nil)
	for i := range 2 * MaxClientTexts {
		client.at = time.Duration(i) * time.Millisecond / 2 // within the window
		client.publish("news", fmt.Sprint(i), nil)
	}
	var got stats.Publish
	s.AddStats(&got)
	if got.TextsKept > MaxClientTexts+1 || got.TextsKept < MaxClientTexts*9/10 || got.TextsKept+int64(got.TextsEvicted) != 2*MaxClientTexts+1 {
		t.Errorf("%d texts are remembered, %d were forgotten early", got.TextsKept, got.TextsEvicted)
	}
	known := func(i int) bool {
		x := &s.idempotency
		e := &Submission{From: client.from, text: x.id([]byte("news"), []byte(fmt.Sprint(i)))}
		_, ok := x.table(e).find(e.text, historyTime(client.at))
		return ok
	}
	for i := range MaxClientTexts / 2 {
		if known(i) {
			t.Fatalf("text %d of %d is remembered", i, 2*MaxClientTexts)
		}
		if last := 2*MaxClientTexts - 1 - i; !known(last) {
			t.Fatalf("text %d of %d is forgotten", last, 2*MaxClientTexts)
		}
	}
	if p := service.publish("news", "mine", nil).At; !p.Duplicate {
		t.Error("clients have pushed a publisher's text out")
	}
}

// TestIdempotencyMemory fills the room of all and measures what it takes, and what is left when the window is over.
func TestIdempotencyMemory(t *testing.T) {
	const textMemory = 57 // bytes
	s := NewStreams(10, v1)
	m := newMaker(s, limits.ByPublisher)
	heap := func() int64 {
		runtime.GC()
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		return int64(now.HeapAlloc)
	}
	random, x := rand.New(rand.NewPCG(1, 1)), &s.idempotency
	fill := func() {
		e := &Submission{From: m.from}
		for range MaxPublisherTexts + MaxPublisherTexts/8 {
			e.text = textID{random.Uint64(), random.Uint64()}
			x.table(e).add(x, firstEvent{id: e.text, at: historyTime(0)}, textRoom[limits.ByPublisher])
		}
	}
	before := heap()
	fill()
	full := heap()
	fill() // and over again, as for hours
	still := heap()
	for name, n := range map[string]int64{"once": full - before, "twice": still - before} {
		each := n / MaxPublisherTexts
		t.Logf("filled %s, each text takes %d bytes", name, each)
		if each > textMemory {
			t.Errorf("filled %s, each text takes %d bytes, want %d at most", name, each, textMemory)
		}
	}
	m.at += IdempotencyWindow
	m.publish("news", "another", nil)
	for range 16 { // a ring gives back half each time
		s.SweepIdempotency(m.at)
	}
	if left := heap() - before; left > 1<<20 || s.idempotency.kept.Load() != 1 {
		t.Errorf("%d bytes are left of %d, and %d texts", left, full-before, s.idempotency.kept.Load())
	}
	runtime.KeepAlive(s)
}

// TestConditionsAllocateNothing: texts in places that are there already, and positions that are as expected.
func TestConditionsAllocateNothing(t *testing.T) {
	s := NewStreams(10, v1)
	m := newMaker(s, limits.ByPublisher)
	first := m.publish("news", "a", nil).At
	channel, data := []byte("news"), []byte("1")
	submit := func(c *command.Conditions) Result {
		m.from.Take(limits.EventCost(channel, nil, data))
		m.request.Begin(nil, m.from, 0)
		m.request.Require(c)
		m.request.Submit(channel, nil, data)
		return m.request.Results[0]
	}
	again, next := command.Conditions{Idempotency: []byte("a")}, command.Conditions{Expect: *at(first), HasExpect: true}
	if n := testing.AllocsPerRun(1_000, func() {
		if !submit(&again).At.Duplicate {
			t.Fatal("no duplicate")
		}
		if submit(&next).Err != nil {
			t.Fatal("a conflict")
		}
		next.Expect.Offset++
	}); n != 0 {
		t.Errorf("%v allocations for each", n)
	}
}

// TestIdempotencyModel compares with a map that remembers everything, under times that go back and forth a little.
func TestIdempotencyModel(t *testing.T) {
	s := NewStreams(10, v1)
	m := newMaker(s, limits.ByPublisher)
	type known struct {
		at     Position
		ticked uint32
	}
	model := make(map[string]known)
	random := rand.New(rand.NewPCG(1, 1))
	clock := time.Duration(0)
	for i := range 50_000 {
		clock += time.Duration(random.IntN(200)) * time.Millisecond
		m.at = clock - time.Duration(random.IntN(3))*historyTick
		channel, text := fmt.Sprint("c", random.IntN(3)), fmt.Sprint(random.IntN(2_000))
		was, ok := model[channel+text]
		want := ok && !isOver(was.ticked, historyTime(m.at))
		got := m.publish(channel, text, nil).At
		if got.Duplicate != want || want && (got.Offset != was.at.Offset || got.Epoch != was.at.Epoch) {
			t.Fatalf("event %d at %v: %+v, want duplicate: %v of %+v", i, m.at, got, want, was)
		}
		if !got.Duplicate {
			model[channel+text] = known{got, historyTime(m.at)}
		}
		if random.IntN(500) == 0 {
			s.SweepIdempotency(m.at)
		}
	}
	if n := s.idempotency.evicted.Load(); n != 0 {
		t.Errorf("%d texts were forgotten early", n)
	}
}
