package loadtest

import (
	"fmt"

	"fleetcast/loadtest/profile"
)

// takeGap notes events that the server will not deliver. A gap stands where its
// events would: behind the last event before it, ahead of the next one.
func (c *client) takeGap(m *profile.Message, now int64) {
	f, tally := c.cohort.flow, &c.cohort.tally
	base := int64(unknownBase)
	if c.state == clientLive {
		base = *c.base()
	}
	if base == unknownBase {
		tally.Unexpected++
		c.example(kindUnexpected, "no gap before the first offset is known", fmt.Sprintf("one from %d to %d", m.From, m.To))
		return
	}
	claimed := span{int64(m.From) - base - 1, int64(m.To) - base}
	gap := span{max(claimed.from, 0), min(claimed.to, f.published(c.channel))}
	for index := gap.from; index < gap.to; index++ {
		f.schedule.seen.set(f.layout.seq(c.channel, index)) // the server must have taken it
	}
	if c.anywhere {
		c.anywhere = false
		c.sequence.next = max(gap.from, c.sequence.next)
	}
	next, missing := c.sequence.next, c.sequence.missing()
	told, passed, fault := c.sequence.tell(gap)
	if gap != claimed {
		fault = gapWrong
	}
	tally.GapMessages++
	tally.Told += told
	tally.Missing += c.sequence.missing() - missing
	c.judgeGap(m, gap, fault, uint64(base+next+1))
	c.passAll(passed, now)
	if c.recovery != nil {
		c.traceGap(gap, told, now)
	}
}

// judgeGap counts what is wrong with a gap. next is the expected offset.
func (c *client) judgeGap(m *profile.Message, gap span, fault gapFault, next uint64) {
	tally := &c.cohort.tally
	switch fault {
	case gapSplit:
		tally.GapSplit++
		c.example(kindGapSplit, "one gap for events that follow one another", fmt.Sprintf("a second one, from %d to %d, without an event between the two", m.From, m.To))
	case gapWrong:
		tally.GapWrong++
		c.example(kindGapWrong, fmt.Sprintf("gaps within %d, which is next, and %d, the latest", next, c.latestOffset()),
			fmt.Sprintf("one from %d to %d", m.From, m.To))
	}
	if newest := c.newestOf(gap); newest > 0 {
		tally.NewestDropped += newest
		c.example(kindNewestDropped, "the newest event of each key",
			fmt.Sprintf("a gap from %d to %d, which holds that of %d keys", m.From, m.To, newest))
	}
}

// latestOffset is the offset of the latest event of the client's channel.
func (c *client) latestOffset() uint64 {
	f := c.cohort.flow
	return uint64(*c.base() + f.published(c.channel))
}

// newestOf is how many of a gap's events are the newest of their key. A server that
// conflates must not drop them, because nothing newer replaces them. It is 0 if events
// have no keys.
func (c *client) newestOf(gap span) int64 {
	f := c.cohort.flow
	if f.plan.Keys == 0 {
		return 0
	}
	latest := span{f.published(c.channel) - int64(f.plan.Keys), gap.to}
	return span{max(gap.from, latest.from), latest.to}.size()
}
