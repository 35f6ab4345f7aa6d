package limits

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/gateway/stats"
	"fleetcast/poller"
)

// patienceForCredit is how long a model may take that takes a fraction of a
// second unless a wake-up is lost.
const patienceForCredit = 30 * time.Second

func TestCreditsTake(t *testing.T) {
	woken := 0
	c := NewCredits(100, 100, func() { woken++ })
	steps := []struct {
		name  string
		do    func() bool
		want  bool
		inUse int64
		woken int
	}{
		{"take", func() bool { return c.Take(60) }, true, 60, 0},
		{"overdraw", func() bool { return c.Take(1_000) }, true, 1_060, 0},
		{"nothing is free", func() bool { return c.Take(1) }, false, 1_060, 0},
		{"give unawaited", func() bool { c.give(1_000); return true }, true, 60, 0},
		{"await below half", c.await, true, 60, 0},
		{"give to below half", func() bool { c.give(5); return true }, true, 55, 0},
		{"give to half", func() bool { c.give(5); return true }, true, 50, 1},
		{"give with nobody left", func() bool { c.give(10); return true }, true, 40, 1},
		{"await above half", c.await, false, 40, 1},
	}
	for _, step := range steps {
		if got := step.do(); got != step.want {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
		if c.InUse() != step.inUse || woken != step.woken {
			t.Errorf("%s: %d in use, woken %d times; want %d, %d", step.name, c.InUse(), woken, step.inUse, step.woken)
		}
	}
}

// TestCreditsLoseNoWakeUp has takers that sleep without credit until they are
// woken, and givers. A lost wake-up would leave all asleep.
func TestCreditsLoseNoWakeUp(t *testing.T) {
	const takers, rounds, budget = 4, 5_000, 1_000
	alarms := make([]chan struct{}, takers)
	for i := range alarms {
		alarms[i] = make(chan struct{}, 1)
	}
	c := NewCredits(budget, budget, func() {
		for _, alarm := range alarms {
			select {
			case alarm <- struct{}{}:
			default:
			}
		}
	})
	given := make(chan int64, 10*budget)
	var givers, all sync.WaitGroup
	for range 2 {
		givers.Go(func() {
			for n := range given {
				c.give(n)
			}
		})
	}
	for i, alarm := range alarms {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 3))
			for range rounds {
				cost := random.Int64N(budget) + 1
				for !c.Take(cost) {
					for c.await() {
						<-alarm
					}
				}
				given <- cost
			}
		})
	}
	awaitGroup(t, &all, "a taker sleeps for ever")
	close(given)
	awaitGroup(t, &givers, "a giver does not end")
	if n := c.InUse(); n != 0 {
		t.Errorf("%d credits are in use after all were given back", n)
	}
}

func awaitGroup(t *testing.T, group *sync.WaitGroup, failure string) {
	t.Helper()
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patienceForCredit):
		t.Fatal(failure)
	}
}

// modelLoop is the owner of a loop whose only work are its starved publishers,
// wired up as the gateway's loops are.
type modelLoop struct {
	loop    *poller.Loop
	mailbox *poller.Mailbox[func()]
	starved Starved
}

func (m *modelLoop) Accepted(*poller.Listener, int)       {}
func (m *modelLoop) AcceptFailed(*poller.Listener, error) {}
func (m *modelLoop) Tick()                                {}
func (m *modelLoop) Pending() bool                        { return !m.mailbox.Empty() || m.starved.Pending() }

func (m *modelLoop) Turn() bool {
	for {
		f, ok := m.mailbox.Take()
		if !ok {
			break
		}
		f()
	}
	m.starved.Resume()
	return false
}

// modelPublisher takes credits as fast as it gets them, up to a number of
// events, and has others give them back.
type modelPublisher struct {
	account *Account
	left    int
	random  *rand.Rand
	give    chan<- modelEvent
	through *sync.WaitGroup
}

type modelEvent struct {
	from *Account
	cost int64
}

func (p *modelPublisher) Identity() []slog.Attr { return nil }

func (p *modelPublisher) Resume() {
	for ; p.left > 0; p.left-- {
		cost := p.random.Int64N(300) + 1
		if !p.account.Take(cost) {
			p.account.Starved.Add(p, p.account)
			return
		}
		p.give <- modelEvent{p.account, cost}
	}
	p.through.Done()
}

// TestStarvedPublishersAllGetThrough has publishers on several loops that must
// wait for their own accounts and for the budget, while others give. The loops
// have no connections and so no tick: one lost wake-up, and they sleep for ever.
func TestStarvedPublishersAllGetThrough(t *testing.T) {
	for _, test := range []struct {
		name          string
		budget, limit int64
	}{
		{"the budget is scarce", 500, 1_000_000},
		{"the accounts are scarce", 1_000_000, 400},
		{"both are", 1_000, 400},
		{"least possible", 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) { starveOnLoops(t, test.budget, test.limit) })
	}
}

func starveOnLoops(t *testing.T, budget, limit int64) {
	const loops, publishers, events = 3, 4, 150
	var models []*modelLoop
	credits := NewCredits(budget, limit, func() {
		for _, m := range models {
			m.starved.Feed()
		}
	})
	var running, through, givers sync.WaitGroup
	for range loops {
		m := &modelLoop{mailbox: poller.NewMailbox[func()]()}
		var err error
		if m.loop, err = poller.NewLoop(m, poller.LoopConfig{}); err != nil {
			t.Fatal(err)
		}
		m.starved.Loop, m.starved.Samples = m.loop, new(stats.Samples)
		models = append(models, m)
	}
	give := make(chan modelEvent, loops*publishers*events)
	var given atomic.Int64
	for range 2 {
		givers.Go(func() {
			for e := range give {
				e.from.Give(e.cost)
				given.Add(1)
			}
		})
	}
	for i, m := range models {
		running.Go(m.loop.Run)
		for j := range publishers {
			through.Add(1)
			p := &modelPublisher{
				account: &Account{Credits: credits, Starved: &m.starved},
				left:    events, random: rand.New(rand.NewPCG(uint64(i), uint64(j))),
				give: give, through: &through,
			}
			m.mailbox.Post(p.Resume)
		}
		m.loop.Wake()
	}
	awaitGroup(t, &through, "a publisher waits for ever")
	close(give)
	awaitGroup(t, &givers, "a giver does not end")
	for _, m := range models {
		m.loop.Stop()
	}
	awaitGroup(t, &running, "a loop does not stop")
	if n := credits.InUse(); n != 0 || given.Load() != loops*publishers*events {
		t.Errorf("%d credits in use, %d events given back", n, given.Load())
	}
}
