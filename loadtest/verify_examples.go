package loadtest

import "fmt"

// example describes the client's fault, if it is the first of its kind.
func (c *client) example(kind, expected, got string) {
	c.cohort.tally.Examples.once(kind, func() (string, string, string) {
		return c.name(), expected, excerpt([]byte(got))
	})
}

// describeLoss describes what the client never got.
func (c *client) describeLoss(lost int64) (where, expected, got string) {
	f := c.cohort.flow
	if f == nil {
		return c.name(), fmt.Sprintf("message %d to come back", c.sequence.firstLost()), fmt.Sprintf("neither it nor %d others", lost-1)
	}
	first := f.layout.seq(c.channel, c.sequence.firstLost())
	return fmt.Sprintf("%s, channel %s", c.name(), f.plan.Channels[c.channel]),
		fmt.Sprintf("event %d", first), fmt.Sprintf("neither it nor %d others", lost-1)
}

// rewritten notes that data came as the same JSON in another spelling.
func (c *client) rewritten(want, data []byte, seq int64) {
	tally := &c.cohort.tally
	tally.Rewritten++
	tally.Examples.once(kindRewritten, func() (where, expected, got string) {
		expected, got, _ = difference(want, data)
		return fmt.Sprintf("%s, event %d", c.name(), seq), expected, got
	})
}

// exampleOfCorrupted describes data that came instead of that of event seq.
func (c *client) exampleOfCorrupted(seq int64, data []byte) {
	w, f := c.cohort.worker, c.cohort.flow
	c.cohort.tally.Examples.once(kindCorrupted, func() (where, expected, got string) {
		due, _ := f.schedule.due(seq)
		want := f.plan.appendData(nil, seq, w.swarm.clock.toUnix(due))
		expected, got, at := difference(want, data)
		return fmt.Sprintf("%s, event %d, at byte %d", c.name(), seq, at), expected, got
	})
}

// awaitedText says what the client is waiting for.
func (c *client) awaitedText() string {
	f := c.cohort.flow
	switch {
	case c.state == clientGreeting:
		return "the answer to its hello"
	case c.state == clientSubscribing:
		return "the answer to its subscription"
	case f == nil || !f.counting:
		return "no message before the first event"
	case c.sequence.next >= f.published(c.channel):
		return fmt.Sprintf("nothing more on channel %s", f.plan.Channels[c.channel])
	}
	return fmt.Sprintf("event %d on channel %s", f.layout.seq(c.channel, c.sequence.next), f.plan.Channels[c.channel])
}
