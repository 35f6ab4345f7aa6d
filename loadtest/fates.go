package loadtest

import (
	"strconv"
	"time"
)

// The fate of an event on its way into the server: it is taken, or the server refuses
// it, or nothing is known of it and no client has got it. An event that was not taken
// cannot be lost.

// refused counts an event that the server has refused. seq is noEvent if it is not
// known which.
func (p *publisher) refused(seq int64, text string) {
	p.rejected++
	p.examples.once(kindRejected, func() (where, expected, got string) {
		return eventText(seq), "the server to take it", "the answer " + excerpt([]byte(text))
	})
	p.exclude(seq)
}

// notTaken notes that an event could not be handed to the server, or that there is
// no answer to it. It is counted by settle, unless a client has got it.
func (p *publisher) notTaken(seq int64, why string) {
	p.examples.once(kindNotTaken, func() (where, expected, got string) {
		return eventText(seq), "the server to take it", excerpt([]byte(why))
	})
	if seq != noEvent {
		p.doubtful = append(p.doubtful, seq)
		p.dismiss(seq)
	}
}

func eventText(seq int64) string {
	if seq == noEvent {
		return "publishing"
	}
	return "event " + strconv.FormatInt(seq, 10)
}

// exclude makes clients neither wait for an event nor count it as lost.
func (p *publisher) exclude(seq int64) {
	if seq != noEvent {
		p.schedule.untaken.set(seq)
		p.dismiss(seq)
	}
}

// dismiss stops the waiting for an event.
func (p *publisher) dismiss(seq int64) {
	if p.waiting[seq] > 0 {
		p.waiting[seq] = givenUp
		p.inFlight--
	}
}

// settle counts, at the end, the events that the server did not take: those that no
// client has got and of which nothing is known. If the run was cut short, events on
// open connections may still arrive.
func (p *publisher) settle(cut bool) {
	for _, seq := range p.doubtful {
		p.leaveOut(seq)
	}
	p.doubtful = nil
	for _, d := range p.doors {
		if cut && !d.ended() {
			continue
		}
		d.pending(func(seq int64) (more bool) { return p.leaveOut(seq) })
	}
	if p.untaken > 0 && !p.examples.has(kindNotTaken) {
		p.notTaken(noEvent, "no answer, and no client got it")
	}
}

// leaveOut counts an event as not taken, unless a client has got it or it was
// refused.
func (p *publisher) leaveOut(seq int64) bool {
	switch {
	case p.schedule.seen.has(seq):
		return false
	case !p.schedule.untaken.has(seq):
		p.exclude(seq)
		p.untaken++
	}
	return true
}

// tailUnseen tells whether the latest event of a door has reached no client. Then only
// the server knows whether it was taken.
func (p *publisher) tailUnseen() bool {
	last := p.published() - 1
	return last >= 0 && !p.schedule.seen.has(last) && !p.schedule.untaken.has(last)
}

// confirmChannel is where the events go that have a publish port answer.
const confirmChannel = "load-confirm"

// settle finds out which of the events that no client got the server has taken. It asks
// publish ports that can tell, and waits for their answer as long as for a delivery.
func (r *run) settle(cut bool) error {
	if r.publishing == nil {
		return nil
	}
	var asked []*portDoor
	r.publishing.call(func() {
		for _, p := range r.publishing.publishers {
			if cut || !p.tailUnseen() {
				continue
			}
			for _, d := range p.doors {
				if port, ok := d.(*portDoor); ok && port.confirm(confirmChannel) {
					asked = append(asked, port)
				}
			}
		}
	})
	for until := time.Now().Add(r.config.Stall); len(asked) > 0 && time.Now().Before(until); {
		all := true
		r.publishing.call(func() {
			for _, d := range asked {
				all = d.isConfirmed() && all
			}
		})
		if all {
			break
		}
		if err := r.sleep(pollInterval); err != nil {
			return err
		}
	}
	r.publishing.call(func() {
		for _, p := range r.publishing.publishers {
			p.settle(cut)
		}
	})
	return nil
}
