package loadtest

import (
	"fmt"

	"fleetcast/loadtest/profile"
)

// recovery is a client's way back to the events that it has missed. A client that comes back
// names the position that it has: an epoch, and the offset of the last event that it got or was
// told of. The server says what becomes of the events behind it. Each of them must then come once,
// in order and before all later ones, or be told of as lost.
type recovery struct {
	state recoveryState
	from  uint64 // the offset that the client has named
	gap   span   // what it has missed, by index of its channel, as far as is known
	lost  span   // what the answer says is lost, until a gap says so too
	firm  bool   // the answer says that nothing is lost
	wrong bool   // what is wrong with it is counted
}

// recoveryState is how far a client's way back is; see recoverTo.
type recoveryState uint8

const (
	recoveryNone     recoveryState = iota // it has named no position in this life, or is cut off again
	recoveryAsked                         // it has
	recoveryUnderWay                      // it has an answer, and not yet all that it has missed
	recoveryAtSeam                        // it has all, or was told of it, and what comes next is later
	recoveryOver                          // that has come
)

// underWay tells whether the client is not whole yet.
func (s recoveryState) underWay() bool { return s == recoveryAsked || s == recoveryUnderWay }

// recoverTo is the one place where the state of a client's way back changes.
func (c *client) recoverTo(next recoveryState) {
	before := c.recovery.state
	c.recovery.state = next
	if before.underWay() != next.underWay() {
		if next.underWay() {
			c.cohort.recovering++
		} else {
			c.cohort.recovering--
		}
	}
}

// recovers tells whether the client can name a position.
func (c *client) recovers() bool {
	f := c.cohort.flow
	return c.cohort.plan.Recovers && f.counting && c.placed && !c.anywhere && *c.base() != unknownBase
}

// position is the offset of the last event that the client got or was told of.
func (c *client) position() uint64 { return uint64(*c.base() + c.sequence.next) }

// appendRecover appends what the client says when it comes back.
func (c *client) appendRecover(dst []byte) []byte {
	if c.recovery == nil {
		c.recovery = new(recovery)
	}
	*c.recovery = recovery{state: c.recovery.state, from: c.position()}
	c.recoverTo(recoveryAsked)
	f := c.cohort.flow
	return c.cohort.worker.codec.AppendRecover(dst, f.plan.Channels[c.channel], c.epoch(), c.recovery.from)
}

// takeAnswer takes the answer to the client's subscription. It may hold events.
func (c *client) takeAnswer(m *profile.Message, w wire, now int64) {
	if c.recovery == nil || c.recovery.state != recoveryAsked {
		c.startAt(m)
		c.becomeLive()
		return
	}
	c.cohort.tally.Recoveries++
	switch {
	case !m.Recovered && !m.HasLost:
		c.reset(m)
		c.becomeLive()
		return
	case len(m.Epoch) > 0 && string(m.Epoch) != c.epoch():
		c.wrongRecovery(fmt.Sprintf("a recovery in epoch %.20q, which it has named", c.epoch()), fmt.Sprintf("one in epoch %.20q", m.Epoch))
		c.reset(m)
		c.becomeLive()
		return
	}
	c.owed, c.sequence.told = true, 0
	c.expectGap(m)
	c.becomeLive()
	c.recoverTo(recoveryUnderWay)
	c.takeMissed(m, w, now)
	c.checkWhole(now)
}

// reset has the client go on with what the server begins with. What it has missed is not lost,
// because the server has not said that it would come.
func (c *client) reset(m *profile.Message) {
	f, tally, from := c.cohort.flow, &c.cohort.tally, c.sequence.next
	tally.Resets++
	c.cohort.tally.Examples.once(kindReset, func() (where, expected, got string) {
		return c.name(), "", fmt.Sprintf("the answer said neither that it recovers from offset %d nor what is lost", c.recovery.from)
	})
	c.owed = false
	c.startAt(m)
	if until := min(c.sequence.next, f.published(c.channel)); !c.anywhere && until > from {
		tally.ResetEvents += until - from
	}
	c.recoverTo(recoveryOver)
}

// expectGap notes what the answer says of the events that the client has missed, and judges what
// can be judged at once.
func (c *client) expectGap(m *profile.Message) {
	f, r, base := c.cohort.flow, c.recovery, *c.base()
	published := f.published(c.channel)
	r.firm = !m.HasLost
	r.gap = span{c.sequence.next, published}
	latest := uint64(base + published)
	if m.HasLatest {
		if m.Latest < r.from || m.Latest > latest {
			c.wrongRecovery(fmt.Sprintf("a latest offset from %d to %d", r.from, latest), fmt.Sprintf("%d", m.Latest))
		}
		r.gap.to = min(max(int64(m.Latest)-base, r.gap.from), published)
		latest = uint64(base + r.gap.to)
	}
	if m.HasOffset && m.Offset != r.from && m.Missed == nil {
		c.wrongRecovery(fmt.Sprintf("the events behind offset %d, which it has named", r.from), fmt.Sprintf("those behind %d", m.Offset))
	}
	if !m.HasLost {
		return
	}
	r.lost = span{int64(m.From) - base - 1, int64(m.To) - base}
	if m.Recovered {
		c.wrongRecovery("a recovery, or what is lost", fmt.Sprintf("both: recovered, and %d to %d lost", m.From, m.To))
	}
	if m.From != r.from+1 || m.To > latest {
		c.wrongLoss(fmt.Sprintf("a loss from %d to %d at most", r.from+1, latest), fmt.Sprintf("one from %d to %d", m.From, m.To))
		r.lost = span{}
	} else if !c.cohort.worker.codec.TellsGaps() {
		told, _, _ := c.sequence.tell(r.lost)
		c.cohort.tally.Told += told
		c.cohort.tally.RecoveryLost += told
		r.lost = span{}
	}
}

// takeMissed takes the events that an answer holds.
func (c *client) takeMissed(m *profile.Message, w wire, now int64) {
	if m.Missed == nil {
		if !c.cohort.worker.codec.TellsLatest() || m.HasLatest {
			return
		}
	}
	// What the answer holds is what the client has missed; a later event tells what is not in it.
	before := c.cohort.tally.Delivered
	ok := c.cohort.worker.codec.EachMissed(m.Missed, func(event *profile.Message) {
		c.takeEvent(event, event.Data, wire{op: w.op}, false, now)
	})
	if !ok {
		c.unexpected(m.Missed)
	}
	r, end := c.recovery, c.sequence.next
	if m.HasOffset {
		end = min(max(end, int64(m.Offset)-*c.base()), r.gap.to)
	}
	r.gap.to = max(end, r.gap.from)
	if c.cohort.tally.Delivered > before {
		c.cohort.tally.addFrame(c.form, w.size)
	}
}

// trace follows the client's way back when the event with that index has come.
func (c *client) trace(order arrival, index int64, skipped span, now int64) {
	r := c.recovery
	switch r.state {
	case recoveryNone, recoveryAsked, recoveryOver:
		return
	case recoveryAtSeam:
		switch {
		case order != arrivalFresh:
			return
		case skipped.size() == 0:
			c.recoverTo(recoveryOver)
			return
		}
		// The server has passed over events between those that it sent again and the live ones.
		r.gap.to = skipped.to
		c.cohort.tally.Whole--
		c.recoverTo(recoveryUnderWay)
	}
	if order == arrivalRepeated {
		return
	}
	if r.lost.size() > 0 {
		c.wrongLoss(c.lossText(), fmt.Sprintf("the event with offset %d", *c.base()+index+1))
		r.lost = span{}
	}
	if index < r.gap.to {
		c.cohort.tally.Recovered++
	}
	c.checkWhole(now)
}

// traceGap follows it when a gap has been told, of which that many events had not come.
func (c *client) traceGap(gap span, told, now int64) {
	r := c.recovery
	if r.state != recoveryUnderWay {
		return
	}
	if r.lost.size() > 0 {
		if base := *c.base(); gap != r.lost {
			c.wrongLoss(c.lossText(), fmt.Sprintf("a gap from %d to %d", base+gap.from+1, base+gap.to))
		}
		// More may be lost since the answer, which the next gap then tells.
		r.lost, c.sequence.told = span{}, 0
	}
	within := span{max(gap.from, r.gap.from), min(gap.to, r.gap.to)}
	c.cohort.tally.RecoveryLost += min(within.size(), told)
	c.checkWhole(now)
}

// lossText says which gap the client waits for.
func (c *client) lossText() string {
	base, lost := *c.base(), c.recovery.lost
	return fmt.Sprintf("a gap from %d to %d first, because the answer said that these are lost", base+lost.from+1, base+lost.to)
}

// checkWhole notes that the client has, or was told of, all that it has missed.
func (c *client) checkWhole(now int64) {
	r := c.recovery
	if r.state != recoveryUnderWay || c.sequence.next < r.gap.to || r.lost.size() > 0 || c.sequence.lostIn(r.gap) > 0 {
		return
	}
	c.recoverTo(recoveryAtSeam)
	c.cohort.tally.Whole++
	c.cohort.times.Recovery.record(now - c.dialled)
	c.cohort.worker.whole = max(c.cohort.worker.whole, now)
}

// endRecovery judges the client's way back at the end of its life, or of the run. until is where
// the events end that should have come.
func (c *client) endRecovery(until int64) {
	r := c.recovery
	if r == nil || r.state == recoveryNone {
		return
	}
	if r.state >= recoveryUnderWay {
		missing := c.sequence.lostIn(r.gap) + c.sequence.taken(span{max(c.sequence.next, r.gap.from), min(until, r.gap.to)})
		if missing > 0 {
			first := *c.base() + c.sequence.firstLostFrom(r.gap.from) + 1
			c.wrongRecovery(c.promise(), fmt.Sprintf("all but %d of them, of which %d is the first", missing, first))
		}
	}
	c.recoverTo(recoveryNone)
}

// promise says what the server has promised to the client.
func (c *client) promise() string {
	base, gap := *c.base(), c.recovery.gap
	if c.recovery.firm {
		return fmt.Sprintf("the events from %d to %d, because the answer said that it is recovered", base+gap.from+1, base+gap.to)
	}
	return fmt.Sprintf("the events up to %d that are not told as lost", base+gap.to)
}

// wrongRecovery counts, once, that a recovery is not what the server says.
func (c *client) wrongRecovery(expected, got string) {
	if !c.recovery.wrong {
		c.recovery.wrong = true
		c.cohort.tally.RecoveryWrong++
		c.example(kindRecoveryWrong, expected, got)
	}
}

// wrongLoss counts that the server has told a loss wrongly.
func (c *client) wrongLoss(expected, got string) {
	c.cohort.tally.LostWrong++
	c.example(kindLostWrong, expected, got)
}

// unplaced is how many clients are to come back with a position and have none.
func (h *cohort) unplaced() (count int) {
	if !h.plan.Recovers {
		return 0
	}
	for i := range h.clients {
		c := &h.clients[i]
		if c.state == clientLive && (!c.placed || h.worker.codec.NeedsEpoch() && c.epoch() == "") {
			count++
		}
	}
	return count
}

// rewind makes the client one that has got nothing yet, so that it recovers all events of its
// channel again. What it has lost until now is counted.
func (c *client) rewind() {
	c.endRecovery(0)
	c.countLoss(c.sequence.lost())
	c.sequence = sequence{untaken: c.sequence.untaken}
}
