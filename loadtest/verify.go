package loadtest

// takeEvent verifies an event that no reference answers for.
func (c *client) takeEvent(data, payload []byte, now int64) {
	w := c.worker
	seq, known, intact := w.check(data)
	channel, index := w.swarm.layout.place(seq)
	ours := known && channel == c.channel && w.tracks != nil
	switch {
	case ours:
		c.place(seq, index, intact, len(payload), now)
		if intact {
			w.references.set(seq, payload)
		}
	case intact:
		c.unexpected(payload)
	default:
		c.takeCorrupted(payload, now)
	}
}

// place fits an event of the client's channel in with those before it.
func (c *client) place(seq, index int64, intact bool, size int, now int64) {
	w := c.worker
	order, skipped := c.sequence.take(index)
	w.passAll(c.channel, skipped, now)
	if order == arrivalRepeated {
		w.tally.duplicated++
		w.tally.note("client %d got event %d again", c.number, seq)
		return
	}
	due, _ := w.swarm.schedule.due(seq)
	if order == arrivalLate {
		w.tally.reordered++
		w.tally.note("client %d got event %d after event %d", c.number, seq,
			w.swarm.layout.seq(c.channel, c.sequence.next-1))
	}
	switch {
	case !intact:
		w.tally.corrupted++
		w.tally.note("client %d got event %d corrupted", c.number, seq)
		if order == arrivalFresh {
			w.pass(seq, now)
		}
		return
	case order == arrivalLate:
		// The event was passed over when a later one came.
		w.latency.record(now - due)
	default:
		w.arrived(seq, due, now)
	}
	w.tally.delivered++
	w.tally.frameBytes += int64(size)
}

// takeCorrupted takes what cannot be told to be any event. If an event is due,
// this is taken for it, so that one fault is counted once.
func (c *client) takeCorrupted(payload []byte, now int64) {
	w := c.worker
	seq := w.swarm.layout.seq(c.channel, c.sequence.next)
	if _, published := w.swarm.schedule.due(seq); !published || w.tracks == nil || c.state != clientLive {
		c.unexpected(payload)
		return
	}
	c.place(seq, c.sequence.next, false, len(payload), now)
}

// takeGap notes events that the server will not deliver. Offsets count from
// the one that the subscription was answered with, because nobody else
// publishes to the run's channels.
func (c *client) takeGap(offsets span, now int64) {
	w := c.worker
	published := w.swarm.layout.count(c.channel, w.swarm.schedule.published.Load())
	before := int64(c.offset) + 1
	gap := span{max(offsets.from-before, 0), min(offsets.to-before, published)}
	told, passed := c.sequence.tell(gap)
	w.tally.told += told
	w.passAll(c.channel, passed, now)
}

// unexpected counts a message that has no business here.
func (c *client) unexpected(payload []byte) {
	c.worker.tally.unexpected++
	c.worker.tally.note("client %d got an unexpected message: %.120q", c.number, payload)
}
