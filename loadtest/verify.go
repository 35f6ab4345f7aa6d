package loadtest

import (
	"fleetcast/codec/websocket"
	"fleetcast/loadtest/profile"

	"github.com/gobwas/ws"
)

// takeEvent verifies an event that no reference answers for.
func (c *client) takeEvent(m *profile.Message, text []byte, w wire, whole bool, now int64) {
	f := c.cohort.flow
	seq, known, intact := c.cohort.worker.check(f, m.Data)
	channel, index := f.layout.place(seq)
	ours := known && channel == c.channel && f.counting && c.state == clientLive
	switch {
	case ours:
		wrong, want := f.wrongOffset(m, channel, index)
		if c.place(seq, index, intact, w.size, now) && wrong {
			c.cohort.tally.Misplaced++
			c.cohort.tally.note("%s got event %d with offset %d, want %d", c.name(), seq, m.Offset, want)
		}
		if intact && whole && !wrong {
			c.keepReference(seq, text, w)
		}
	case intact:
		c.unexpected(text)
	default:
		c.takeCorrupted(text, now)
	}
}

// keepReference has the frames of a verified event answer for those that other
// clients of the form get. What has arrived in pieces can be made anew if it is
// plain.
func (c *client) keepReference(seq int64, text []byte, w wire) {
	if c.form == formPlain && w.frames == nil {
		worker := c.cohort.worker
		worker.scratch = websocket.AppendFrame(worker.scratch[:0], ws.OpText, text)
		w = wire{worker.scratch, len(text)}
	}
	if c.form < comparedForms && w.frames != nil {
		c.cohort.flow.references[c.form].set(seq, w)
	}
}

// wrongOffset tells whether an event carries an offset other than its own.
func (f *flow) wrongOffset(m *profile.Message, channel int32, index int64) (wrong bool, want uint64) {
	base := f.bases[channel]
	if !m.HasOffset || base == unknownBase {
		return false, 0
	}
	want = uint64(base + index + 1)
	return m.Offset != want, want
}

// place fits an event of the client's channel in with those before it, and tells
// whether that counts as delivered.
func (c *client) place(seq, index int64, intact bool, size int, now int64) (delivered bool) {
	f, tally := c.cohort.flow, &c.cohort.tally
	if c.anywhere {
		c.anywhere = false
		c.sequence.next = max(index, c.sequence.next)
	}
	order, skipped := c.sequence.take(index)
	tally.Missing += skipped.size()
	c.passAll(skipped, now)
	if order == arrivalRepeated {
		tally.Duplicated++
		tally.note("%s got event %d, which it had got or been told of as missing", c.name(), seq)
		return false
	}
	due, _ := f.schedule.due(seq)
	if order == arrivalLate {
		tally.Missing--
		tally.Reordered++
		tally.note("%s got event %d after event %d", c.name(), seq, f.layout.seq(c.channel, c.sequence.next-1))
	}
	switch {
	case !intact:
		tally.Corrupted++
		tally.note("%s got event %d corrupted", c.name(), seq)
		if order == arrivalFresh && c.awaited {
			c.cohort.worker.pass(f, seq, now)
		}
		return false
	case order == arrivalLate:
		// The event was passed over when a later one came.
		c.cohort.latency.record(now - due)
	default:
		c.arrived(f, seq, due, now)
	}
	tally.deliver(c.form, size)
	return true
}

// arrived counts a verified event that came in order.
func (c *client) arrived(f *flow, seq, due, now int64) {
	c.cohort.latency.record(now - due)
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

// takeCorrupted takes what cannot be told to be any event. If an event is due,
// this is taken for it, so that one fault is counted once.
func (c *client) takeCorrupted(text []byte, now int64) {
	f := c.cohort.flow
	seq := f.layout.seq(c.channel, c.sequence.next)
	if _, published := f.schedule.due(seq); !published || !f.counting || c.state != clientLive || c.anywhere {
		c.unexpected(text)
		return
	}
	c.place(seq, c.sequence.next, false, 0, now)
}

// unexpected counts a message that has no business here.
func (c *client) unexpected(text []byte) {
	c.cohort.tally.Unexpected++
	c.cohort.tally.note("%s got an unexpected message: %.120q", c.name(), text)
}
