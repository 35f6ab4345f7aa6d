package webport

import (
	"testing"
	"time"
)

// A connection that was accepted and not read yet, because the machine is busy,
// keeps its place. Its time begins when it is read.
func TestGraceBeginsWithReading(t *testing.T) {
	p := &Port{conns: make(map[*conn]struct{})}
	for range Connections {
		p.conns[&conn{port: p, stage: fresh}] = struct{}{}
	}
	later := time.Now().Add(time.Hour)
	if victim, safe := p.least(later); victim != nil || safe != newGrace {
		t.Errorf("%v is closed, or one in %v", victim, safe)
	}
	for c := range p.conns {
		c.enter(fresh)
		if victim, _ := p.least(time.Now().Add(2 * newGrace)); victim != c {
			t.Errorf("%v is closed, not the only one that was read", victim)
		}
		break
	}
}
