package loadtest

import (
	"fmt"
	"time"
)

// detour is how a publisher at a rate leaves its schedule. Events that are due while the schedule
// is halted are due that much later.
type detour struct {
	burst  int64 // events that are to be published at once
	extra  int64 // those that were
	halted int64 // since when the schedule is halted, time of the clock; 0: it runs
	later  int64 // for how long it was halted before that
}

// halt has the publisher publish nothing but bursts.
func (p *publisher) halt() {
	if p.halted == 0 {
		p.halted = p.publishing.clock.now()
	}
}

// resume has it go on with its schedule.
func (p *publisher) resume() {
	if p.halted != 0 {
		p.later += p.publishing.clock.now() - p.halted
		p.halted = 0
	}
}

// taken tells whether the server has taken all that was published, as far as the doors can know.
func (p *publisher) taken() bool {
	taken := p.burst == 0 && p.doors.sum(door.batched)+p.doors.sum(door.unsent) == 0
	for _, d := range p.doors {
		if port, ok := d.(*portDoor); ok {
			taken = port.isConfirmed() && taken
		}
		d.pending(func(int64) (more bool) { taken = false; return false })
	}
	return taken
}

// publishNow publishes so many events of a flow at a rate at once, and waits until the server has
// taken them.
func (r *run) publishNow(flow, events int) error {
	p := r.publishing.publishers[flow]
	r.publishing.call(func() { p.burst += int64(events) })
	return r.awaitTaken(flow)
}

// awaitTaken waits until the server has taken all that a flow has published.
func (r *run) awaitTaken(flow int) error {
	p, asked := r.publishing.publishers[flow], false
	unsent, since := -1, time.Now()
	for {
		var taken bool
		var left int
		r.publishing.call(func() {
			if p.burst == 0 && !asked {
				asked = true
				for _, d := range p.doors {
					if port, ok := d.(*portDoor); ok {
						port.confirm(confirmChannel)
					}
				}
			}
			taken, left = asked && p.taken(), p.doors.sum(door.unsent)+int(p.burst)
		})
		if taken {
			return nil
		}
		if left != unsent {
			unsent, since = left, time.Now()
		}
		if limit := max(2*r.config.Stall, requestTimeout); time.Since(since) > limit {
			return fmt.Errorf("publishing: the server has taken none of the events that clients are to miss for %v", limit)
		}
		if err := r.sleep(pollInterval); err != nil {
			return err
		}
	}
}
