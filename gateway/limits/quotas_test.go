package limits

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// modelKey is what a key uses, plainly: the moments at which it came.
type modelKey struct {
	open []*Quota[int]
	came []time.Duration
}

// TestQuotas compares with a model: a burst of 3 connections at once and one more
// each second is that of the connections within any time t there are at most t
// and 3.
func TestQuotas(t *testing.T) {
	const keys, most, burst = 10, 4, 3
	bounds := QuotaBounds{most, NewBucket(Rate{PerSecond: 1, Burst: burst})}
	q := NewQuotas[int]()
	random := rand.New(rand.NewPCG(1, 2))
	models := make([]modelKey, keys)
	now := time.Hour
	for range 20_000 {
		now += time.Duration(random.IntN(200)) * time.Millisecond
		key := random.IntN(keys)
		m := &models[key]
		if len(m.open) > 0 && random.IntN(2) == 0 {
			last := len(m.open) - 1
			q.Close(m.open[last], now)
			m.open = m.open[:last]
			continue
		}
		want := quotaLeft
		for n := range m.came { // how many came since that one, this one included
			if have := len(m.came) - n + 1; float64(have) > burst+(now-m.came[n]).Seconds() {
				want = QuotaOften
			}
		}
		if len(m.open) == most {
			want = QuotaFull
		}
		used, got, wait := q.Open(key, bounds, now)
		if got != want || (got == QuotaOften) != (wait > 0) || (got == quotaLeft) != (used != nil) {
			t.Fatalf("key %d is answered with %d, wait %v, want %d", key, got, wait, want)
		}
		if got == quotaLeft {
			m.open, m.came = append(m.open, used), append(m.came, now)
			if len(m.came) > 50 {
				m.came = m.came[1:]
			}
		}
	}
	for i := range models {
		for _, used := range models[i].open {
			q.Close(used, now)
		}
	}
	q.Sweep(now + time.Minute)
	if n := q.Kept.Load(); n != 0 {
		t.Errorf("%d keys are kept when all are gone and their rates are full", n)
	}
}

// A key is kept for its rate no longer than that says something, and not for
// ever many keys.
func TestQuotasForget(t *testing.T) {
	bounds := QuotaBounds{0, NewBucket(Rate{PerSecond: 1, Burst: 1})}
	q := NewQuotas[int]()
	used, _, _ := q.Open(1, bounds, time.Second)
	q.Close(used, time.Second)
	if _, outcome, _ := q.Open(1, bounds, time.Second); outcome != QuotaOften {
		t.Error("a key without connections has lost its rate")
	}
	used, _, _ = q.Open(1, bounds, 2*time.Second)
	q.Close(used, 4*time.Second)
	if n := q.Kept.Load(); n != 0 {
		t.Errorf("%d keys are kept for a rate that is full", n)
	}
	// One key that comes and goes does not crowd itself out.
	often := QuotaBounds{0, NewBucket(Rate{PerSecond: 1, Burst: 3 * maxIdleQuotas})}
	for range 3 * maxIdleQuotas {
		used, _, _ := q.Open(1, often, 5*time.Second)
		q.Close(used, 5*time.Second)
	}
	if _, outcome, _ := q.Open(1, often, 5*time.Second); outcome != QuotaOften {
		t.Error("a key that has come often has lost its rate")
	}
	q = NewQuotas[int]()
	const many = 2 * quotaStripes * maxIdleQuotas
	for key := range many {
		used, _, _ := q.Open(key, bounds, 10*time.Second)
		q.Close(used, 10*time.Second)
	}
	if n := q.Kept.Load(); n > quotaStripes*maxIdleQuotas || n < quotaStripes*maxIdleQuotas/2 {
		t.Errorf("%d keys are kept", n)
	}
	for key := range many { // room for others as soon as the rates are full
		used, outcome, _ := q.Open(key+many, bounds, 12*time.Second)
		if outcome != quotaLeft {
			t.Fatal("a new key is refused")
		}
		q.Close(used, 14*time.Second)
	}
	q.Sweep(14 * time.Second)
	if n := q.Kept.Load(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

// Connections that open and close at the same time on several loops never
// exceed the bound, and leave nothing.
func TestQuotasAtOnce(t *testing.T) {
	const loops, rounds, most = 4, 2_000, 2
	q := NewQuotas[int]()
	var open [3]atomic.Int64 // by key
	var running sync.WaitGroup
	for range loops {
		running.Go(func() {
			for i := range rounds {
				key := i % len(open)
				used, outcome, _ := q.Open(key, QuotaBounds{Open: most}, 0)
				if outcome != quotaLeft {
					continue
				}
				if n := open[key].Add(1); n > most {
					t.Errorf("%d connections are open", n)
				}
				open[key].Add(-1)
				q.Close(used, 0)
			}
		})
	}
	running.Wait()
	if n := q.Kept.Load(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}
