package stream

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"fleetcast/codec/command"
	"fleetcast/gateway/history"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/stats"
)

// StripeCount is the number of independently locked parts of the streams.
const StripeCount = 256

// epochSize is the length of an epoch's text in bytes.
const epochSize = 8

// Epoch names one life of a stream: an offset means nothing in another.
type Epoch [epochSize]byte

// MarshalText implements encoding.TextMarshaler.
func (e Epoch) MarshalText() ([]byte, error) { return e[:], nil }

// newEpoch makes the epoch of a stream in the given life of its stripe. A stream that
// was forgotten before it had an event gets the same epoch again, because nothing of it
// was lost.
func newEpoch(seed maphash.Seed, name string, life uint64) (e Epoch) {
	var h maphash.Hash
	h.SetSeed(seed)
	h.WriteString(name)
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], life)
	h.Write(number[:])
	binary.LittleEndian.PutUint64(number[:], h.Sum64())
	base64.RawURLEncoding.Encode(e[:], number[:epochSize*6/8])
	return e
}

// Position is where an event stands, and how many clients it went to.
type Position struct {
	Epoch       Epoch
	Offset      uint64
	Subscribers int // approximate while clients come and go
	// Duplicate tells that nothing was published: the event of the same idempotency text
	// stands there.
	Duplicate bool
}

// Stream is a channel as publishers see it: the sequence of its events, and
// the shards that want them. Its stripe's lock guards it.
type Stream struct {
	Name       string
	epoch      Epoch
	Offset     uint64      // of the last event; the first one gets 1
	prefix     []byte      // of events in the first dialect; made with the first interest
	Tag        uint16      // a hash of the name, as that
	interested []*Interest // one per shard with subscribers
	usedIn     uint64      // the stripe's sweep count when it was last used
	recent     stats.Meter // of its events
	maker      limits.Maker
	usedAgain  bool // since it was listed as unused, or was last looked at there

	earlier, later *Stream // in its stripe's list of unused streams of its maker

	log                  history.Log
	logUsed              bool    // as usedAgain, of the log
	logEarlier, logLater *Stream // in its stripe's list of streams with something in their logs

	rule atomic.Pointer[rules.Rule] // see RuleIn; not under the lock
}

// Streams holds every stream of the process. All methods may be called from
// any goroutine.
type Streams struct {
	Formats *Formats // of events; not to be changed

	seed    maphash.Seed
	stripes [StripeCount]stripe
	count   atomic.Int64
	limit   atomic.Int64
	room    streamRoom
	history histories
	// keepsEmpty tells that streams are kept that never had an event; see KeepEmpty.
	keepsEmpty atomic.Bool

	idempotency idempotency
}

// stripe is the part of the streams that one lock guards. Sequencing an event
// and posting it to the shards is one critical section, so that all shards see
// a channel's events in the same order.
type stripe struct {
	mu     sync.Mutex
	byName map[string]*Stream
	unused [limits.Makers]unusedStreams
	logs   logList
	kept   int64 // events in them; no atomic number, which would wait for what was written into a log
	sweeps uint64
	life   uint64   // grows with every position of events that is forgotten
	_      [56]byte // keeps neighbours' locks off this cache line
}

// NewStreams keeps up to limit streams, whose events have these formats.
func NewStreams(limit int, fs *Formats) *Streams {
	s := &Streams{Formats: fs, seed: maphash.MakeSeed()}
	s.limit.Store(int64(limit))
	s.idempotency.init()
	for i := range s.stripes {
		s.stripes[i].byName = make(map[string]*Stream)
	}
	return s
}

// Submit implements [Engine]: it sequences an event and posts it to the interested
// shards. The caller wakes them when its batch is through. The credits go back when the
// shards have served the event, or at once if no shard wants it. If there is no room
// for a stream without subscribers, the position is the only one of its epoch.
func (s *Streams) Submit(e *Submission) {
	stripe := s.stripe(e.Channel)
	stripe.mu.Lock()
	st := stripe.byName[string(e.Channel)]
	if e.Conditions != nil && s.declines(stripe, st, e) {
		return
	}
	switch {
	case st == nil:
		if st = s.open(stripe, e.Channel, e.From.Maker, false); st == nil {
			p := s.pass(stripe, e.Channel)
			s.remember(e, p)
			stripe.mu.Unlock()
			e.From.Give(e.Cost)
			e.done(p)
			return
		}
	case st.maker != e.From.Maker && e.From.Maker == limits.ByPublisher:
		s.adopt(stripe, st)
	default:
		st.usedAgain = true
	}
	st.Offset++
	st.recent.Count(len(e.Data), e.At)
	s.keep(stripe, st, e)
	p := Position{Epoch: st.epoch, Offset: st.Offset}
	if len(st.interested) == 0 {
		st.usedIn = stripe.sweeps
		s.remember(e, p)
		stripe.mu.Unlock()
		e.From.Give(e.Cost)
		e.done(p)
		return
	}
	event := newEvent(s.Formats, st, e, len(st.interested))
	for _, c := range st.interested {
		c.Port.Post(Mail{Event: event, Interest: c})
		p.Subscribers += int(c.Subscribers.Load())
		e.Wakes.add(c.Port)
	}
	s.remember(e, p)
	stripe.mu.Unlock()
	e.done(p)
}

// Join begins an interest, which has its name and port. Every
// event after the returned position is posted to c, none before. The error is a
// *command.Error.
func (s *Streams) Join(c *Interest) (Position, error) {
	stripe := s.stripe([]byte(c.Name))
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	st := stripe.byName[c.Name]
	if st == nil {
		if st = s.open(stripe, []byte(c.Name), limits.ByClient, true); st == nil {
			message := fmt.Sprintf("the gateway holds %d channels, which is its limit", s.limit.Load())
			return Position{}, &command.Error{Code: command.LimitExceeded, Message: message}
		}
	}
	if len(st.interested) == 0 {
		s.setUsed(stripe, st)
	}
	if st.prefix == nil {
		st.prefix, st.Tag = s.Formats.Dialect(FormatPlain).AppendPrefix([]byte{}, st.Name), streamTag(st.Name)
	}
	st.interested = append(st.interested, c)
	c.Stream, c.Name = st, st.Name // one copy of the name for all shards
	return Position{Epoch: st.epoch, Offset: st.Offset}, nil
}

// Leave ends an interest.
func (s *Streams) Leave(c *Interest) {
	stripe := s.stripe([]byte(c.Name))
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	st := stripe.byName[c.Name]
	i := slices.Index(st.interested, c)
	st.interested = slices.Delete(st.interested, i, i+1)
	if len(st.interested) > 0 {
		return
	}
	s.setUnused(stripe, st)
	if st.Offset == 0 && !s.keepsEmpty.Load() {
		// There is no position to keep. And a client that subscribes to one new name
		// after the other must not fill the table.
		s.forget(stripe, st)
	}
}

// Sweep forgets the streams of one stripe that were not used since the sweep
// before the last and have no history. Called for each stripe once per retention time, it
// keeps an unused stream for at least that time and at most twice as long.
func (s *Streams) Sweep(i int) {
	stripe := &s.stripes[i]
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	for by := range stripe.unused {
		for st := stripe.unused[by].oldest; st != nil; {
			later := st.later
			if st.usedIn < stripe.sweeps && st.log.Len() == 0 {
				s.forget(stripe, st)
			}
			st = later
		}
	}
	stripe.sweeps++
}

// Subscribers is how many clients subscribe to the channel of that name, approximately while they come
// and go.
func (s *Streams) Subscribers(name []byte) (n int) {
	stripe := s.stripe(name)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	if st := stripe.byName[string(name)]; st != nil {
		for _, c := range st.interested {
			n += int(c.Subscribers.Load())
		}
	}
	return n
}

// RuleIn is the rule for the stream in a table. It is looked up once for each table.
// Any goroutine may call it.
func (st *Stream) RuleIn(table *rules.Table) *rules.Rule {
	if r := st.rule.Load(); r != nil && r.Of == table {
		return r
	}
	r := table.For(st.Name)
	st.rule.Store(r)
	return r
}

func (s *Streams) stripe(name []byte) *stripe {
	return &s.stripes[maphash.Bytes(s.seed, name)%StripeCount]
}

// Wanted is how many streams some shard wants.
func (s *Streams) Wanted() (n int) {
	for i := range s.stripes {
		stripe := &s.stripes[i]
		stripe.mu.Lock()
		for _, st := range stripe.byName {
			if len(st.interested) > 0 {
				n++
			}
		}
		stripe.mu.Unlock()
	}
	return n
}
