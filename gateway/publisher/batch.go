package publisher

import (
	"context"
	"fmt"
)

// Batch gathers events that are handed over together: one lock, and one write
// for as many as the write buffer holds. It keeps copies of its events, without
// bound: it is as large as its owner makes it. One goroutine at a time may use
// it.
type Batch struct {
	p        *Publisher
	channels []string
	bodies   []byte
	ends     []int // in bodies, of each event's body
}

// NewBatch returns an empty batch. It can be used again after Send, Publish or
// Reset.
func (p *Publisher) NewBatch() *Batch { return &Batch{p: p} }

// Add adds an event. It refuses what Publish would refuse before sending; the
// error then matches [*Error], and the batch is as it was.
func (b *Batch) Add(channel string, data []byte, options ...EventOption) error {
	data, o, _, err := b.p.checkEvent([]string{channel}, bodyLength(channel), data, options)
	if err != nil {
		return err
	}
	b.bodies = appendBody(b.bodies, channel, &o, data)
	b.ends = append(b.ends, len(b.bodies))
	b.channels = append(b.channels, channel)
	return nil
}

// Len returns the number of events in the batch.
func (b *Batch) Len() int { return len(b.ends) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	clear(b.channels)
	b.channels, b.bodies, b.ends = b.channels[:0], b.bodies[:0], b.ends[:0]
}

// Send hands the events over as Publisher.Send does, in order, and empties the
// batch. On an error, which matches [ErrNotSent], those that were not handed
// over remain in the batch. A batch that was begun on one connection is not
// continued on another.
func (b *Batch) Send(ctx context.Context) error {
	sent, err := b.put(ctx, nil)
	if err != nil {
		b.discard(sent)
		return fmt.Errorf("sending a batch: %w", err)
	}
	b.Reset()
	return nil
}

// Publish publishes the events in order, waits until the gateway has answered
// all of them, and empties the batch. The outcomes are in the order of Add; the
// error is the first of theirs. A batch that was begun on one connection is not
// continued on another: if that breaks, the rest fails with [ErrDisconnected]
// and [ErrNotSent].
func (b *Batch) Publish(ctx context.Context) ([]Outcome, error) {
	if b.Len() == 0 {
		return nil, nil
	}
	c := newCallOf(callEach, b.channels)
	// The call keeps the names until it has ended, which may be after ctx has.
	b.channels = nil
	outcomes := c.outcomes
	total := len(outcomes)
	put, err := b.put(ctx, c)
	b.Reset()
	if err != nil {
		b.p.mu.Lock()
		for i := put; i < total; i++ {
			outcomes[i].Err = err
		}
		c.finish(total - put)
		b.p.mu.Unlock()
	}
	if err := b.p.await(ctx, c); err != nil {
		for i := range outcomes {
			if outcomes[i].Err == errUnanswered {
				outcomes[i].Err = err
			}
		}
	} else {
		c.recycle()
	}
	return outcomes, firstError(outcomes)
}

// firstError returns the first error among outcomes.
func firstError(outcomes []Outcome) error {
	for i := range outcomes {
		if err := outcomes[i].Err; err != nil {
			return fmt.Errorf("publishing event %d of a batch of %d: %w", i+1, len(outcomes), err)
		}
	}
	return nil
}

// put puts the events into the write buffer, as requests of c if it is set, and
// returns how many it put before an error.
func (b *Batch) put(ctx context.Context, c *call) (int, error) {
	var on *link
	for i := 0; i < len(b.ends); {
		l, err := b.p.acquire(ctx, b.need(i, c), on)
		if err != nil {
			return i, err
		}
		on = l
		for first := true; i < len(b.ends) && (first || l.fits(b.need(i, c))); i++ {
			l.put(c, i)
			l.pending = append(l.pending, b.body(i)...)
			first = false
		}
		l.rouse()
		b.p.mu.Unlock()
	}
	return len(b.ends), nil
}

// need returns what the i-th event takes of a link's bounds.
func (b *Batch) need(i int, c *call) room {
	need := room{bytes: requestOverhead + len(b.body(i))}
	if c != nil {
		need.requests = 1
	}
	return need
}

// body returns the body of the i-th event's request.
func (b *Batch) body(i int) []byte {
	if i == 0 {
		return b.bodies[:b.ends[0]]
	}
	return b.bodies[b.ends[i-1]:b.ends[i]]
}

// discard removes the first n events.
func (b *Batch) discard(n int) {
	if n == 0 {
		return
	}
	cut := b.ends[n-1]
	b.bodies = b.bodies[:copy(b.bodies, b.bodies[cut:])]
	b.channels = append(b.channels[:0], b.channels[n:]...)
	b.ends = append(b.ends[:0], b.ends[n:]...)
	for i := range b.ends {
		b.ends[i] -= cut
	}
}
