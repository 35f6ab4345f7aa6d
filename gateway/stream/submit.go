package stream

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"fleetcast/codec/command"
	"fleetcast/gateway/limits"
)

// Engine gives events their places in their streams and sends them to the shards of
// their subscribers. [Streams] is the embedded one. Submit does not wait, and may be
// called by any goroutine. An engine that cannot say at once what becomes of an event
// takes a [Ticket] before it returns.
type Engine interface {
	Submit(s *Submission)
}

// Submission is one event on its way in. It is scratch of its [Request]: it and its bytes are
// valid until Submit returns.
type Submission struct {
	Channel, Key, Data []byte
	From               *limits.Account // the credits are from it
	Cost               int64           // in credits
	At                 time.Duration   // the loops' clock
	Wakes              *WakeSet        // gets the shards that the event is posted to
	// Conditions are those under which it is published, nil if there are none. The idempotency
	// text is looked at first: an event that was published with the same text, to the channel
	// and by the same kind of maker, completes it with its position, as a Duplicate. Then comes
	// the position that is expected: another one completes it with a *command.Error with
	// [command.Conflict]. In either case nothing is published.
	Conditions *command.Conditions

	request *Request
	part    int    // the number of the result
	text    textID // of Conditions, for the embedded streams
}

// Ticket is for an engine that completes a submission later.
type Ticket struct {
	request *Request
	part    int
}

// Defer makes the submission one that is completed later.
func (s *Submission) Defer() Ticket {
	s.request.Results[s.part].pending = true
	s.request.pending++
	s.request.each = s.Cost - int64(len(s.Channel))
	return Ticket{s.request, s.part}
}

// done is the completion by the embedded streams, before Submit returns. The streams
// give the credits back.
func (s *Submission) done(at Position) {
	s.request.Results[s.part].At = at
	s.request.count()
}

// decline is done for an event that is not published.
func (s *Submission) decline(at Position, err error) {
	result := &s.request.Results[s.part]
	result.At, result.Err = at, err
	if at.Duplicate {
		s.request.countDuplicate()
	}
}

// Complete says where the event stands, or why it was not published. An error that is a
// *command.Error goes to the publisher as it is. It must be called once.
// Any goroutine may call it. The submitter hears of it on its own goroutine, where the credits go back.
func (t Ticket) Complete(at Position, err error) {
	t.request.by.Post(func() { t.request.complete(t.part, at, err) })
}

// Submitter is who makes requests.
type Submitter interface {
	// Post has the submitter's goroutine call f soon. Any goroutine may call it.
	Post(f func())
	// Settled is called once for each request that was kept and is settled.
	Settled(r *Request)
}

// requestState is how far a request is; see [Request.moveTo].
type requestState uint8

const (
	requestScratch   requestState = iota // it is being submitted, or was settled at once; it is used again
	requestPending                       // an engine has not completed all of it
	requestSettled                       // it was pending, and the submitter was told
	requestAbandoned                     // it is pending, and the submitter will not be told
)

// Request is what one request publishes: one event, to each of its channels. A loop
// that reads requests has one as scratch. It belongs to the goroutine of its submitter.
type Request struct {
	Results []Result
	// Duplicates counts events that were not published because they are duplicates. It belongs
	// to the goroutine of the submitters, and may be nil.
	Duplicates *uint64

	engine    Engine
	by        Submitter
	state     requestState
	pending   int // results that have not come
	scratch   Submission
	size      int     // of the data, in bytes
	each      int64   // the credits of each event, without those for its channel's name
	published *uint64 // counts events

	conditional bool // it has conditions
}

// Result is what became of the event for one channel.
type Result struct {
	Channel []byte
	At      Position
	Err     error // the engine's; nil: it was published, or is a duplicate

	pending bool
}

var (
	errUnconfirmed    = errors.New("the answer did not come in time; the event may have been published")
	errCompletedTwice = errors.New("gateway: an engine has completed a submission twice")
)

// NewRequest makes a request for scratch. What it publishes is counted in published. The goroutine of
// its submitters owns wakes and published.
func NewRequest(engine Engine, wakes *WakeSet, published *uint64) *Request {
	r := &Request{engine: engine, published: published, scratch: Submission{Wakes: wakes}}
	r.scratch.request = r
	return r
}

// Begin forgets the last request and begins a new one, with credits that were taken
// from an account.
func (r *Request) Begin(by Submitter, from *limits.Account, at time.Duration) {
	r.Results, r.by = r.Results[:0], by
	r.scratch.From, r.scratch.At, r.scratch.Conditions = from, at, nil
	r.conditional = false
}

// Require has the events be published under conditions, which stay as they are until these are
// submitted; nil for none. A text counts for each channel by itself.
func (r *Request) Require(c *command.Conditions) { r.scratch.Conditions, r.conditional = c, c != nil }

// Conditional tells whether the request has conditions.
func (r *Request) Conditional() bool { return r.conditional }

// Submit publishes an event with a key, which may be empty, to one channel.
func (r *Request) Submit(channel, key, data []byte) {
	s := &r.scratch
	s.Channel, s.Key, s.Data, s.Cost = channel, key, data, limits.EventCost(channel, key, data)
	s.part = len(r.Results)
	r.size = len(data)
	r.addResult(channel)
	r.engine.Submit(s)
}

// addResult adds the result of a channel, whose At and Err the completion sets. A result
// of an earlier request is used again: to append a new one took 4 % of a publisher's
// time.
func (r *Request) addResult(channel []byte) {
	n := len(r.Results)
	if n == cap(r.Results) {
		r.Results = append(r.Results, Result{Channel: channel})
		return
	}
	r.Results = r.Results[:n+1]
	result := &r.Results[n]
	result.Channel, result.Err, result.pending = channel, nil, false
}

// complete takes the outcome of a deferred submission, on the goroutine of its
// submitter.
func (r *Request) complete(part int, at Position, err error) {
	result := &r.Results[part]
	if !result.pending {
		panic(errCompletedTwice)
	}
	r.scratch.From.Give(r.each + int64(len(result.Channel)))
	switch {
	case err != nil:
	case at.Duplicate:
		r.countDuplicate()
	default:
		r.count()
	}
	result.At, result.Err, result.pending = at, err, false
	if r.pending--; r.pending == 0 && r.state == requestPending {
		r.moveTo(requestSettled)
		r.by.Settled(r)
	}
}

// count counts an event that was published.
func (r *Request) count() {
	*r.published++
	r.scratch.From.Sent.Count(r.size, r.scratch.At)
}

func (r *Request) countDuplicate() {
	if r.Duplicates != nil {
		*r.Duplicates++
	}
}

// moveTo is the one place where a request's state changes.
func (r *Request) moveTo(next requestState) {
	if next <= r.state || r.state == requestSettled {
		panic(fmt.Sprintf("gateway: a request cannot go from state %d to %d", r.state, next))
	}
	r.state = next
}

// Settled tells whether there is nothing to wait for.
func (r *Request) Settled() bool { return r.pending == 0 || r.state == requestAbandoned }

// Keep gives a request that is not settled to the submitter, which is told when it is.
// It returns another request for scratch.
func (r *Request) Keep() (scratch *Request) {
	r.moveTo(requestPending)
	for i := range r.Results {
		r.Results[i].Channel = bytes.Clone(r.Results[i].Channel)
	}
	scratch = NewRequest(r.engine, r.scratch.Wakes, r.published)
	scratch.Duplicates = r.Duplicates
	r.scratch.Channel, r.scratch.Key, r.scratch.Data, r.scratch.Conditions = nil, nil, nil, nil
	return scratch
}

// Abandon is for a submitter that is gone, or stops waiting for a request that it kept.
// The submitter is not told any more. A later completion gives its credits back and is
// counted.
func (r *Request) Abandon() { r.moveTo(requestAbandoned) }

// Refusal is the answer if not everything was published, otherwise nil. An event whose
// outcome is unknown may have been published.
func (r *Request) Refusal() *command.Error {
	var first *Result
	failed := 0
	for i := range r.Results {
		result := &r.Results[i]
		if !result.pending && result.Err == nil {
			continue
		}
		if failed++; first == nil {
			first = result
		}
	}
	if first == nil {
		return nil
	}
	err, where := first.Err, ""
	if first.pending {
		err = errUnconfirmed
	} else if refusal, ok := errors.AsType[*command.Error](err); ok && len(r.Results) == 1 {
		return refusal
	}
	if n := len(r.Results); n > 1 {
		where = fmt.Sprintf(" for %d of %d channels, first %s", failed, n, command.QuoteChannel(first.Channel))
	}
	return &command.Error{Code: command.NotAvailable, Message: "publishing failed" + where + ": " + err.Error()}
}
