//go:build invariants

package limits

import (
	"fmt"
	"runtime"
)

// resizeLooks is how often credits are looked at that may be in the midst of a Resize.
const resizeLooks = 1000

// Violation says whether more credits were given back than taken. It is there with the
// build tag invariants. Any goroutine may call it.
func (c *Credits) Violation() error {
	var free, budget int64
	for range resizeLooks {
		if free, budget = c.free.Load(), c.Budget.Load(); free <= budget {
			return nil
		}
		runtime.Gosched()
	}
	return fmt.Errorf("%d credits are free of %d", free, budget)
}

// looksPerTurn is how much is looked at after a turn on average: sessions, subscriptions
// and events that wait.
const looksPerTurn = 1024

// Pace spreads a loop's checks of all that it has: one that has looked at more than
// belongs to a turn is followed by turns without one.
type Pace struct{ Owed int }

// Due tells whether a check is due after this turn. The caller then sets Owed to what
// it has looked at.
func (p *Pace) Due() bool {
	p.Owed = max(p.Owed-looksPerTurn, 0)
	return p.Owed == 0
}

// Sum is one that cannot be negative.
type Sum struct {
	Of string
	N  int64
}

// Negative says which of the sums is.
func Negative(sums ...Sum) error {
	for _, s := range sums {
		if s.N < 0 {
			return fmt.Errorf("the %s are %d", s.Of, s.N)
		}
	}
	return nil
}
