package shard

import (
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"fleetcast/gateway/backlog"
	"fleetcast/gateway/mem"
	"fleetcast/gateway/stats"
)

// There is a session for every socket and an entry for every message that waits.
func TestSizes(t *testing.T) {
	if size := unsafe.Sizeof(session{}); size != 128 {
		t.Errorf("a session has %d bytes", size)
	}
}

func TestShortTimes(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct{ from, length time.Duration }{
		{0, 0}, {0, 1234 * time.Millisecond}, {5 * time.Second, time.Hour}, {49 * day, day}, {365 * day, 40 * day},
	} {
		if got := millisOf(test.from).since(test.from + test.length); got != test.length {
			t.Errorf("from %v to %v after it are %v", test.from, test.length, got)
		}
		if got := tenthsOf(test.from).since(test.from + test.length); got != test.length {
			t.Errorf("in tenths, from %v to %v after it are %v", test.from, test.length, got)
		}
	}
	for _, test := range []struct {
		seen, pinged time.Duration
		after        bool
	}{
		{time.Second, time.Second, true},
		{time.Second, time.Second + 900*time.Microsecond, true},
		{time.Second - 1, time.Second, false},
		{time.Second - time.Millisecond - 1, time.Second, false},
		{49 * day, 49*day - time.Second, true},
		{1<<32*time.Millisecond - time.Second, 1 << 32 * time.Millisecond, false}, // wraps between them
		{1 << 32 * time.Millisecond, 1<<32*time.Millisecond - time.Second, true},
	} {
		if got := seenAt(test.seen).after(test.pinged); got != test.after {
			t.Errorf("seen at %v is after a ping at %v: %v", test.seen, test.pinged, got)
		}
	}
	if got := tenthsOf(4999 * time.Millisecond).since(5 * time.Second); got != 100*time.Millisecond {
		t.Errorf("an age is rounded to %v", got)
	}
	if got := seconds(2139 * time.Millisecond); got != 2.139 {
		t.Errorf("2.139 s are %v", got)
	}
}

// lagSession returns an open session with a backlog, in the list of s.
func lagSession(s *Shard, id uint64, bytes int) *session {
	c := &session{shard: s, state: sessionOpen, id: id, backlog: &backlog.Backlog{Bytes: bytes}}
	s.lagging.add(c)
	return c
}

// TestLaggingList adds and removes and compares with a set.
func TestLaggingList(t *testing.T) {
	s := &Shard{}
	random := rand.New(rand.NewPCG(3, 4))
	present := make(map[*session]bool)
	for i := range 5_000 {
		if random.IntN(2) == 0 || len(present) == 0 {
			present[lagSession(s, uint64(i), 1)] = true
		} else {
			for c := range present {
				s.lagging.remove(c)
				delete(present, c)
				break
			}
		}
		if len(s.lagging) != len(present) {
			t.Fatalf("%d are listed, want %d", len(s.lagging), len(present))
		}
		for place, c := range s.lagging {
			if !present[c] || int(c.backlog.Place) != place {
				t.Fatalf("at place %d is one that believes to be at %d; present: %v", place, c.backlog.Place, present[c])
			}
		}
	}
}

// TestLaggingPortions has clients catch up, and others begin to lag, between the
// portions of a walk. Whoever lags all the time must be met; nobody twice.
func TestLaggingPortions(t *testing.T) {
	const stay, leave = 2*stats.SearchPortion + 100, 3_000
	s := newTestShard(t)
	var leavers []*session
	for i := range stay + leave {
		c := lagSession(s, uint64(i), 1)
		if i%((stay+leave)/leave) == 0 && len(leavers) < leave {
			leavers = append(leavers, c)
		}
	}
	left := make(map[uint64]bool)
	found := mem.NewBest(stay+leave, func(a, b LagEntry) int { return int(a.Id) - int(b.Id) })
	met := make(map[uint64]bool)
	portions, end := 0, 1<<40
	for ; end > 0; portions++ {
		end = s.OfferLagging(end, found, met)
		for range 1_000 {
			if len(leavers) > 0 {
				left[leavers[0].id] = true
				s.lagging.remove(leavers[0])
				leavers = leavers[1:]
			}
		}
		lagSession(s, uint64(1_000_000+portions), 1)
	}
	seen := make(map[uint64]int)
	for _, entry := range found.Sorted() {
		seen[entry.Id]++
		if entry.session != nil || entry.Client == "" {
			t.Fatalf("an entry is not complete: %+v", entry)
		}
	}
	for id := range uint64(stay + leave) {
		if n := seen[id]; n > 1 || n == 0 && !left[id] {
			t.Fatalf("client %d is met %d times", id, n)
		}
	}
	if portions < 3 {
		t.Errorf("it took %d portions", portions)
	}
}
