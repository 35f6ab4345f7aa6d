//go:build invariants

package limits

import "testing"

func TestInvariants(t *testing.T) {
	c := NewCredits(100, 10, func() {})
	c.Take(30)
	if err := c.Violation(); err != nil {
		t.Error(err)
	}
	c.give(30)
	if err := c.Violation(); err != nil {
		t.Error(err)
	}
	c.give(1)
	if err := c.Violation(); err == nil {
		t.Error("more is given back than was taken")
	}
}

// TestPace: a check of much is followed by turns without one.
func TestPace(t *testing.T) {
	p := Pace{Owed: 3 * looksPerTurn}
	for turn := 1; turn <= 3; turn++ {
		if due := p.Due(); due != (turn == 3) {
			t.Errorf("in turn %d a check is due: %t", turn, due)
		}
	}
}
