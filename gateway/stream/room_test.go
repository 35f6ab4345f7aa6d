package stream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"fleetcast/codec/command"
	"fleetcast/gateway/limits"
)

// joined makes a shard's interest in a stream.
func joined(t *testing.T, s *Streams, name string) (*Interest, Position) {
	t.Helper()
	c := &Interest{Name: name, Port: NewPort(0)}
	p, err := s.Join(c)
	if err != nil {
		t.Fatalf("join %s: %v", name, err)
	}
	return c, p
}

func wantLimited(t *testing.T, err error) {
	t.Helper()
	var refusal *command.Error
	if !errors.As(err, &refusal) || refusal.Code != command.LimitExceeded {
		t.Fatalf("a stream beyond the limit: %v, want limit_exceeded", err)
	}
}

func (s *Streams) kept() (names []string) {
	for i := range s.stripes {
		for name := range s.stripes[i].byName {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// sameStripe returns names that meet in one stripe, where the order is exact.
func (s *Streams) sameStripe(n int) (names []string) {
	for i := 0; len(names) < n; i++ {
		if name := fmt.Sprint("name-", i); s.stripe([]byte(name)) == &s.stripes[0] {
			names = append(names, name)
		}
	}
	return names
}

// TestUnusedStreamsGoFirst fills the table: the stream of which the last use is
// longest ago makes room, clients' before publishers'.
func TestUnusedStreamsGoFirst(t *testing.T) {
	s, wakes := NewStreams(8, v1), NewWakeSet(1)
	publisher, client := unlimited(), unlimited()
	client.Maker = limits.ByClient
	n := s.sameStripe(14)
	joined(t, s, n[0])
	joined(t, s, n[1])
	for _, name := range n[2:7] {
		publishTo(t, s, publisher, &wakes, name)
	}
	publishTo(t, s, client, &wakes, n[7])
	before := publishTo(t, s, publisher, &wakes, n[2]) // used again
	if len(s.kept()) != 8 {
		t.Fatalf("kept are %q", s.kept())
	}
	for i, step := range []struct {
		do      func()
		evicted string
	}{
		{func() { publishTo(t, s, publisher, &wakes, n[8]) }, n[7]},  // a client's first
		{func() { publishTo(t, s, publisher, &wakes, n[9]) }, n[3]},  // then the oldest use
		{func() { joined(t, s, n[10]) }, n[4]},                       // of a new subscription too
		{func() { publishTo(t, s, client, &wakes, n[11]) }, "none"},  // but never of a client's event
		{func() { publishTo(t, s, publisher, &wakes, n[12]) }, n[5]}, // which was not kept
	} {
		kept := s.kept()
		step.do()
		for _, name := range kept {
			if gone := !slices.Contains(s.kept(), name); gone != (name == step.evicted) {
				t.Errorf("step %d: %s is gone: %v, want only %s", i, name, gone, step.evicted)
			}
		}
	}
	if after := publishTo(t, s, publisher, &wakes, n[2]); after.Epoch != before.Epoch || after.Offset != before.Offset+1 {
		t.Errorf("a stream that was kept goes on with %+v behind %+v", after, before)
	}
}

// TestFullTable has nothing but streams with subscribers: publishers go on, and no
// position is told twice.
func TestFullTable(t *testing.T) {
	s, from, wakes := NewStreams(4, v1), unlimited(), NewWakeSet(1)
	publishTo(t, s, from, &wakes, "a")
	first, _ := joined(t, s, "a") // a publisher's
	for _, name := range []string{"b", "c", "d"} {
		joined(t, s, name)
	}
	_, err := s.Join(&Interest{Name: "e", Port: NewPort(0)})
	wantLimited(t, err)
	told := make(map[Position]bool)
	for range 10 {
		p := publishTo(t, s, from, &wakes, "e")
		if p.Offset != 1 || told[p] {
			t.Fatalf("an event for nobody has the Position %+v", p)
		}
		told[p] = true
	}
	if n := from.Credits.InUse(); n != 0 {
		t.Errorf("events for nobody keep %d credits", n)
	}
	s.Leave(first)
	if _, p := joined(t, s, "e"); p.Offset != 0 || told[Position{Epoch: p.Epoch, Offset: 1}] {
		t.Errorf("a new stream begins at %+v, in an epoch that was used", p)
	}
}

// TestClientsLeaveRoom has clients make streams without end, with and without
// subscribing: a part is left for publishers, and clients with few subscriptions
// get what is left.
func TestClientsLeaveRoom(t *testing.T) {
	const limit = 800
	s, wakes, client := NewStreams(limit, v1), NewWakeSet(1), unlimited()
	client.Maker = limits.ByClient
	for i := range 5 * limit {
		publishTo(t, s, client, &wakes, fmt.Sprint("published-", i))
	}
	if n := s.count.Load(); n > limit/unusedClientsPart {
		t.Errorf("clients' events have made %d streams, want at most %d", n, limit/unusedClientsPart)
	}
	subscribed := 0
	for ; ; subscribed++ {
		if _, err := s.Join(&Interest{Name: fmt.Sprint("subscribed-", subscribed), Port: NewPort(0)}); err != nil {
			break
		}
		left := clientsLimit(limit) - int64(subscribed) - 1
		if s.GrantsNew(20) != (left >= 160) || !s.GrantsNew(7) {
			t.Fatalf("with room for %d, one with 20 subscriptions gets more: %v; one with 7: %v", left, s.GrantsNew(20), s.GrantsNew(7))
		}
	}
	if want := limit - limit/publishersPart; subscribed != want {
		t.Errorf("clients subscribed to %d new streams, want %d", subscribed, want)
	}
	_, err := s.Join(&Interest{Name: "one more", Port: NewPort(0)})
	wantLimited(t, err)
	publisher := unlimited()
	positions := make(map[string]Position)
	for i := range limit / publishersPart {
		name := fmt.Sprint("upstream-", i)
		positions[name] = publishTo(t, s, publisher, &wakes, name)
	}
	for i := range limit {
		publishTo(t, s, client, &wakes, fmt.Sprint("again-", i))
	}
	for name, p := range positions {
		if now := publishTo(t, s, publisher, &wakes, name); now.Epoch != p.Epoch || now.Offset != p.Offset+1 {
			t.Fatalf("a publisher's stream goes on with %+v behind %+v", now, p)
		}
		joined(t, s, name) // a stream that is there takes no room
	}
}

// TestStreamCounts does everything at random, from several goroutines, and adds up
// what is left.
func TestStreamCounts(t *testing.T) {
	const limit = 60
	s := NewStreams(limit, v1)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			wakes := NewWakeSet(4)
			accounts := [limits.Makers]*limits.Account{unlimited(), unlimited()}
			accounts[limits.ByClient].Maker = limits.ByClient
			var mine []*Interest
			last := make(map[string]Position)
			for range 5_000 {
				name := fmt.Sprint(worker, "-", random.IntN(50))
				switch random.IntN(4) {
				case 0, 1:
					p := publishTo(t, s, accounts[random.IntN(int(limits.Makers))], &wakes, name)
					if before := last[name]; p.Epoch == before.Epoch && p.Offset <= before.Offset {
						t.Errorf("%+v follows %+v", p, before)
					}
					last[name] = p
				case 2:
					c := &Interest{Name: name, Port: NewPort(worker)}
					if _, err := s.Join(c); err == nil {
						mine = append(mine, c)
					}
				case 3:
					if len(mine) > 0 {
						s.Leave(mine[0])
						mine = mine[1:]
					}
				}
				if n := s.count.Load(); n > limit+4 {
					t.Errorf("%d streams are kept", n)
				}
			}
		})
	}
	all.Wait()
	var made, unused [limits.Makers]int64
	for i := range s.stripes {
		for by := range s.stripes[i].unused {
			n := int32(0)
			for st := s.stripes[i].unused[by].oldest; st != nil; st = st.later {
				n++
			}
			if n != s.stripes[i].unused[by].count.Load() {
				t.Errorf("stripe %d lists %d unused streams and counts %d", i, n, s.stripes[i].unused[by].count.Load())
			}
		}
		for _, st := range s.stripes[i].byName {
			made[st.maker]++
			if len(st.interested) == 0 {
				unused[st.maker]++
			}
		}
	}
	for by := range made {
		if s.room.made[by].Load() != made[by] || s.room.unused[by].Load() != unused[by] {
			t.Errorf("maker %d: %d made and %d unused are counted, there are %d and %d",
				by, s.room.made[by].Load(), s.room.unused[by].Load(), made[by], unused[by])
		}
	}
	if n := s.count.Load(); n != made[limits.ByPublisher]+made[limits.ByClient] || n > limit {
		t.Errorf("%d streams are counted, there are %v", n, made)
	}
}
