package publisher

import (
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Result is the position that the gateway gave to an event.
type Result struct {
	Channel     string
	Epoch       string // identifies the life of the channel's stream
	Offset      uint64 // position in the stream, from 1
	Subscribers uint64 // clients subscribed at that moment, approximately
	// Duplicate tells that the event was not published, because one of the same name had been;
	// the rest is of that one. See WithIdempotency.
	Duplicate bool
}

// Outcome is what became of one event of a batch.
type Outcome struct {
	Result
	Err error // nil if the event was sequenced; else as of Publisher.Publish
}

// errUnanswered marks an Outcome whose reply has not come.
var errUnanswered = errors.New("no reply yet")

// callKind says what a call's requests look like.
type callKind uint8

const (
	callEach    callKind = iota // a request for each of the channels
	callAll                     // one request for all of the channels
	callBarrier                 // one request that publishes nothing
)

// call is what a goroutine waits for: the replies to one or more requests.
// Publisher.mu guards it from its first request until it is finished.
type call struct {
	kind      callKind
	channels  []string
	outcomes  []Outcome     // one for each channel; none for a barrier
	left      int           // requests without an outcome
	abandoned bool          // nobody waits any more: outcomes and channels are not ours
	failure   error         // of a barrier
	done      chan struct{} // holds a token once left is 0

	// A call of one event uses these and allocates nothing.
	channel [1]string
	outcome [1]Outcome
}

var callPool = sync.Pool{New: func() any { return &call{done: make(chan struct{}, 1)} }}

// newCall returns a call of one event.
func newCall(channel string) *call {
	c := callPool.Get().(*call)
	c.kind, c.left = callEach, 1
	c.channel[0] = channel
	c.outcome[0].Err = errUnanswered
	c.channels, c.outcomes = c.channel[:], c.outcome[:]
	return c
}

// newCallOf returns a call for several channels, in as many requests as kind
// says.
func newCallOf(kind callKind, channels []string) *call {
	c := callPool.Get().(*call)
	c.kind, c.left = kind, 1
	if kind == callEach {
		c.left = len(channels)
	}
	c.channels = channels
	c.outcomes = make([]Outcome, len(channels))
	for i := range c.outcomes {
		c.outcomes[i].Err = errUnanswered
	}
	return c
}

// recycle gives c back. Nothing may refer to it: neither a request in flight nor
// a token in done.
func (c *call) recycle() {
	*c = call{done: c.done}
	callPool.Put(c)
}

// finish counts n requests as ended and wakes the caller after the last.
func (c *call) finish(n int) {
	c.left -= n
	if c.left > 0 {
		return
	}
	if c.abandoned {
		c.recycle()
		return
	}
	c.done <- struct{}{}
}

// fail ends the index-th request with err.
func (c *call) fail(index int, err error) {
	switch {
	case c.abandoned:
	case c.kind == callEach:
		c.outcomes[index].Err = err
	case c.kind == callAll:
		for i := range c.outcomes {
			c.outcomes[i].Err = err
		}
	case c.kind == callBarrier:
		c.failure = err
	}
	c.finish(1)
}

// answer ends the index-th request with its reply. An error says that the reply
// does not belong to the request, which is then left as it was.
func (c *call) answer(index int, r *reply, epochs *epochCache) error {
	if c.abandoned || c.kind == callBarrier {
		c.finish(1)
		return nil
	}
	if r.Error.Code != "" {
		c.fail(index, r.refusal())
		return nil
	}
	channels, outcomes := c.channels, c.outcomes
	if c.kind == callEach {
		channels, outcomes = channels[index:index+1], outcomes[index:index+1]
	}
	if len(r.Results) != len(channels) {
		return fmt.Errorf("%w: %d results for %d channels", ErrProtocol, len(r.Results), len(channels))
	}
	for i := range r.Results {
		if r.Results[i].Channel != channels[i] {
			return fmt.Errorf("%w: result of channel %q for channel %q", ErrProtocol, r.Results[i].Channel, channels[i])
		}
	}
	for i := range r.Results {
		from := &r.Results[i]
		outcomes[i] = Outcome{Result: Result{channels[i], epochs.intern(from.Epoch), from.Offset, from.Subscribers, from.Duplicate}}
	}
	c.finish(1)
	return nil
}

// epochCache keeps one copy of each epoch, so that a reply allocates nothing. A
// stream keeps its epoch as long as it lives.
type epochCache struct{ known map[string]string }

// maxEpochs bounds the cache; beyond it starts afresh.
const maxEpochs = 1024

// intern returns a string equal to epoch that outlives the reply's memory.
func (e *epochCache) intern(epoch string) string {
	if known, ok := e.known[epoch]; ok {
		return known
	}
	if e.known == nil || len(e.known) >= maxEpochs {
		e.known = make(map[string]string)
	}
	epoch = strings.Clone(epoch)
	e.known[epoch] = epoch
	return epoch
}

// request is one that awaits its reply.
type request struct {
	line  uint64 // the line's number in the connection, and the request's id
	call  *call
	index int // in the call
}

// requestQueue is a queue of the requests in flight, in a ring that grows.
type requestQueue struct {
	ring []request // its length is 0 or a power of two
	head int
	n    int
}

func (q *requestQueue) len() int { return q.n }

func (q *requestQueue) push(r request) {
	if q.n == len(q.ring) {
		grown := make([]request, max(16, 2*q.n))
		copied := copy(grown, q.ring[q.head:])
		copy(grown[copied:], q.ring[:q.head])
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = r
	q.n++
}

// front returns the oldest request; the queue must not be empty.
func (q *requestQueue) front() *request { return &q.ring[q.head] }

// pop removes the oldest request; the queue must not be empty.
func (q *requestQueue) pop() {
	q.ring[q.head] = request{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
}
