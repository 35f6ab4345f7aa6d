package loadtest

import (
	"fmt"
	"time"

	"fleetcast/codec/websocket"
	"fleetcast/loadtest/profile"
)

// takeEvent verifies an event that no reference answers for.
func (c *client) takeEvent(m *profile.Message, text []byte, w wire, whole bool, now int64) {
	if c.takeProbe(m.Data) {
		return
	}
	f := c.cohort.flow
	is := c.cohort.worker.check(f, m.Data)
	channel, index := f.layout.place(is.seq)
	ours := channel == c.channel && f.counting && c.state == clientLive
	switch {
	case ours && is.known:
		f.schedule.seen.set(is.seq)
		wrong, want := c.wrongOffset(m, index)
		if is.rewritten {
			c.rewritten(c.cohort.worker.data, m.Data, is.seq)
		}
		if c.place(is.seq, index, is.intact, m.Data, w.size, now) && wrong {
			c.cohort.tally.Misplaced++
			c.example(kindCorrupted, fmt.Sprintf("event %d with offset %d", is.seq, want), fmt.Sprintf("it with offset %d", m.Offset))
		}
		if is.intact && whole && !wrong {
			c.keepReference(is.seq, text, w)
		}
	case ours && is.published && is.intact && c.nearTime(is.seq, m.Data):
		c.place(is.seq, index, false, m.Data, 0, now)
	case is.intact:
		c.unexpected(text)
	default:
		c.takeCorrupted(text, m.Data, now)
	}
}

// timeSlack is by how much an event's time may differ from that of the event that
// was published for it to count as this one, mutilated. It is less than the time
// between two runs.
const timeSlack = int64(time.Second)

// nearTime tells whether data, which is that of event seq but for its time, has one
// that a server has changed, and not that of an earlier run.
func (c *client) nearTime(seq int64, data []byte) bool {
	_, unix, _ := parseData(data)
	due, _ := c.cohort.flow.schedule.due(seq)
	off := unix - c.cohort.worker.swarm.clock.toUnix(due)
	return -timeSlack < off && off < timeSlack
}

// keepReference has the frames of a verified event answer for those that other
// clients of the form get. What has arrived in pieces can be made anew if it is
// plain.
func (c *client) keepReference(seq int64, text []byte, w wire) {
	if c.form == formPlain && w.frames == nil {
		worker := c.cohort.worker
		worker.scratch = websocket.AppendFrame(worker.scratch[:0], w.op, text)
		w = wire{worker.scratch, len(text), w.op}
	}
	if c.form < comparedForms && w.frames != nil {
		c.cohort.flow.references[c.form].set(seq, w)
	}
}

// wrongOffset tells whether an event carries an offset other than its own.
func (c *client) wrongOffset(m *profile.Message, index int64) (wrong bool, want uint64) {
	base := c.base()
	if m.HasOffset && *base == unknownBase && c.origin > 0 {
		*base = int64(m.Offset) - index - 1 // the first event of an epoch that is new tells it
	}
	if !m.HasOffset || *base == unknownBase {
		return false, 0
	}
	want = uint64(*base + index + 1)
	return m.Offset != want, want
}

// place fits an event of the client's channel in with those before it, and tells
// whether that counts as delivered. data is what came.
func (c *client) place(seq, index int64, intact bool, data []byte, size int, now int64) (delivered bool) {
	f, tally := c.cohort.flow, &c.cohort.tally
	if c.anywhere {
		c.anywhere = false
		c.sequence.next = max(index, c.sequence.next)
	}
	order, skipped := c.sequence.take(index)
	tally.Missing += skipped.size()
	c.passAll(skipped, now)
	if c.recovery != nil {
		defer c.trace(order, index, skipped, now) // when what is wrong with the event is counted
	}
	if order == arrivalRepeated {
		tally.Duplicated++
		c.example(kindDuplicated, fmt.Sprintf("event %d once", seq), "it when it had come or been told of as missing")
		return false
	}
	due, _ := f.schedule.due(seq)
	if order == arrivalLate {
		tally.Missing--
		tally.Reordered++
		c.example(kindReordered, fmt.Sprintf("event %d before event %d", seq, f.layout.seq(c.channel, c.sequence.next-1)), "it behind")
	}
	switch {
	case !intact:
		tally.Corrupted++
		c.exampleOfCorrupted(seq, data)
		if order == arrivalFresh && c.awaited {
			c.cohort.worker.pass(f, seq, now)
		}
		return false
	case order == arrivalLate:
		// The event was passed over when a later one came.
		c.cohort.times.Latency.record(now - due)
	default:
		c.arrived(f, seq, due, now)
	}
	tally.deliver(c.form, size)
	return true
}

// arrived counts a verified event that came in order.
func (c *client) arrived(f *flow, seq, due, now int64) {
	c.cohort.times.Latency.record(now - due)
	c.cohort.worker.last = now
	if !c.served {
		c.serve()
	}
	if !c.awaited {
		return
	}
	if t := f.track(seq); t.first == 0 {
		t.first = now
	}
	c.cohort.worker.pass(f, seq, now)
}

// passAll notes that the client waits for none of the events of s any longer,
// which are indices of its channel.
func (c *client) passAll(s span, now int64) {
	if !c.awaited {
		return
	}
	f := c.cohort.flow
	for index := s.from; index < s.to; index++ {
		c.cohort.worker.pass(f, f.layout.seq(c.channel, index), now)
	}
}

// behind tells whether events are under way to the client.
func (c *client) behind() bool {
	f := c.cohort.flow
	return c.state == clientLive && c.owed && !c.anywhere && c.sequence.next < f.published(c.channel)
}

// miss notes that events were not sent to the client.
func (c *client) miss(s span) {
	c.sequence.miss(s)
	c.cohort.tally.Missing += s.size()
}

// takeCorrupted takes a message that is not recognised as any event. data is the part
// of it that would be the event's. If an event is due, the message counts as that
// event, so that one fault is counted once.
func (c *client) takeCorrupted(text, data []byte, now int64) {
	f := c.cohort.flow
	seq := f.layout.seq(c.channel, c.sequence.next)
	if _, published := f.schedule.due(seq); !published || !f.counting || c.state != clientLive || c.anywhere {
		c.unexpected(text)
		return
	}
	c.place(seq, c.sequence.next, false, data, 0, now)
}

// unexpected counts a message that has no business here.
func (c *client) unexpected(text []byte) {
	c.cohort.tally.Unexpected++
	c.cohort.tally.Examples.once(kindUnexpected, func() (where, expected, got string) {
		return c.name(), c.awaitedText(), excerpt(text)
	})
}
