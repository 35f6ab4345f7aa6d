package stream

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"

	"fleetcast/codec/command"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/stats"
)

// IdempotencyWindow is for how long an idempotency text is remembered, if there is room.
const IdempotencyWindow = 5 * time.Minute

const (
	// MaxPublisherTexts and MaxClientTexts are how many texts are remembered, in 33 MB in all.
	MaxPublisherTexts = 1 << 19
	MaxClientTexts    = 1 << 16

	// textTables is the number of independently locked parts.
	textTables = 64
)

// textRoom is how many texts a table remembers.
var textRoom = [limits.Makers]int{
	limits.ByPublisher: MaxPublisherTexts / textTables,
	limits.ByClient:    MaxClientTexts / textTables,
}

// idempotency is what the streams remember of events that were published with an idempotency
// text. Those of clients are apart from those of publishers: a client that may publish to a
// channel can neither suppress a publisher's event, by using its text first, nor have it
// forgotten.
//
// The table of a text follows from its hash, and not from its channel. So a channel that alone
// has all texts may use all room. A table's lock is taken within that of a stripe, never the
// other way round. The stripe's lock makes looking a text up and remembering it one step for
// each channel.
type idempotency struct {
	seeds   [4]maphash.Seed
	tables  [limits.Makers][textTables]textTable
	kept    atomic.Int64
	evicted atomic.Uint64 // texts that were forgotten before their time, to make room
}

func (x *idempotency) init() {
	for i := range x.seeds {
		x.seeds[i] = maphash.MakeSeed()
	}
}

// declines tells whether an event is not to be published, because of its conditions. Then it
// has completed the submission, and has unlocked the stripe. st is nil if there is no stream.
// The caller holds the stripe's lock.
func (s *Streams) declines(stripe *stripe, st *Stream, e *Submission) bool {
	c := e.Conditions
	if len(c.Idempotency) > 0 {
		e.text = s.idempotency.id(e.Channel, c.Idempotency)
		if first, ok := s.idempotency.table(e).find(e.text, historyTime(e.At)); ok {
			stripe.mu.Unlock()
			e.From.Give(e.Cost)
			e.decline(Position{Epoch: first.epoch, Offset: first.offset, Subscribers: int(first.subscribers), Duplicate: true}, nil)
			return true
		}
	}
	if !c.HasExpect {
		return false
	}
	now := Position{}
	if st != nil {
		now.Epoch, now.Offset = st.epoch, st.Offset
	} else {
		now.Epoch = newEpoch(s.seed, string(e.Channel), stripe.life) // that of its first event
	}
	if c.Expect.Offset == now.Offset && bytes.Equal(c.Expect.Epoch, now.Epoch[:]) {
		return false
	}
	stripe.mu.Unlock()
	e.From.Give(e.Cost)
	e.decline(Position{}, conflict(now))
	return true
}

// conflict is the refusal of an event whose channel is at another position than is expected.
func conflict(now Position) error {
	return &command.Error{
		Code:    command.Conflict,
		Message: fmt.Sprintf("the channel is at offset %d of epoch %s", now.Offset, now.Epoch[:]),
		Now:     &command.Since{Epoch: bytes.Clone(now.Epoch[:]), Offset: now.Offset},
	}
}

// remember notes where an event was published, if it has an idempotency text. The caller holds
// the stripe's lock, and has asked declines.
func (s *Streams) remember(e *Submission, p Position) {
	if e.Conditions != nil && len(e.Conditions.Idempotency) > 0 {
		s.idempotency.remember(e, p)
	}
}

func (x *idempotency) remember(e *Submission, p Position) {
	first := firstEvent{id: e.text, epoch: p.Epoch, offset: p.Offset, subscribers: uint32(p.Subscribers), at: historyTime(e.At)}
	x.table(e).add(x, first, textRoom[e.From.Maker])
}

func (x *idempotency) id(channel, text []byte) textID {
	return textID{
		maphash.Bytes(x.seeds[0], channel) ^ maphash.Bytes(x.seeds[1], text),
		maphash.Bytes(x.seeds[2], channel) ^ maphash.Bytes(x.seeds[3], text),
	}
}

func (x *idempotency) table(e *Submission) *textTable {
	return &x.tables[e.From.Maker][e.text[0]%textTables]
}

// SweepIdempotency forgets the texts that are too old at a time of the loops' clock. Texts that
// come meanwhile wait for some microseconds.
func (s *Streams) SweepIdempotency(now time.Duration) {
	for of := range s.idempotency.tables {
		for i := range s.idempotency.tables[of] {
			for s.idempotency.tables[of][i].sweep(&s.idempotency, historyTime(now)) {
			}
		}
	}
}

func (x *idempotency) addStats(to *stats.Publish) {
	to.TextsKept += x.kept.Load()
	to.TextsEvicted += x.evicted.Load()
}
