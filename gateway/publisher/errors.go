package publisher

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrClosed is matched by the errors of calls on a closed Publisher, and of
	// calls whose reply had not come when it was closed.
	ErrClosed = errors.New("publisher is closed")

	// ErrDisconnected is matched by the errors of events that were in flight
	// when the connection broke. They may or may not have been sequenced, unless
	// the error matches ErrNotSent too.
	ErrDisconnected = errors.New("disconnected from the gateway")

	// ErrNotSent is matched, beside the cause, by the error of an event that
	// never left the process: it is safe to publish it again.
	ErrNotSent = errors.New("event was not sent")

	// ErrProtocol is matched by the cause of a disconnection when the gateway
	// answered something that is not a reply of the publish protocol.
	ErrProtocol = errors.New("reply not understood")
)

// Codes of Error that this package also gives by itself, for an event that it
// refuses before it is sent. The gateway may answer with others.
const (
	CodeBadRequest    = "bad_request"    // the data is not valid JSON in UTF-8, or nests too deeply
	CodeBadChannel    = "bad_channel"    // the channel's name is not allowed
	CodeLimitExceeded = "limit_exceeded" // the event is larger than allowed
)

// CodeRateLimited is the code of an event that the gateway refused because this
// connection publishes faster than it allows. The Publisher does not send it again. The
// caller may, after Error.RetryAfter. See also Publisher.RateLeft.
const CodeRateLimited = "rate_limited"

// CodeConflict is the code of an event whose channel is not where WithExpect says.
const CodeConflict = "conflict"

// Error is the refusal of a request. Its event was not sequenced in any channel.
type Error struct {
	Code    string // for programs, as in the publish protocol: "bad_request", ...
	Message string // for people
	// RetryAfter is the time after which the event may be published again, where
	// the gateway says so, as with CodeRateLimited; else 0.
	RetryAfter time.Duration
	// Epoch and Offset are where the channel is, with CodeConflict.
	Epoch  string
	Offset uint64
}

// Error implements error.
func (e *Error) Error() string {
	text := e.Code + ": " + e.Message
	if e.RetryAfter > 0 {
		text += fmt.Sprintf("; try again in %v", e.RetryAfter)
	}
	return text
}

// SendError tells Config.OnError of events given to Send that were refused or
// lost. Events are named by their ordinal: 1 is the first event that Send or
// Batch.Send of this Publisher accepted.
type SendError struct {
	First, Last uint64 // ordinals of the events, both included
	Err         error  // *Error if refused, that of the first; else matches ErrDisconnected or ErrClosed
}

// Error implements error.
func (e *SendError) Error() string {
	if e.First == e.Last {
		return fmt.Sprintf("sent event %d: %v", e.First, e.Err)
	}
	return fmt.Sprintf("sent events %d to %d: %v", e.First, e.Last, e.Err)
}

// Unwrap returns Err.
func (e *SendError) Unwrap() error { return e.Err }

// join returns e and the refusal of the events right behind it as one, if the code
// is the same; otherwise nil. A rate refuses thousands in a row. Neither changes.
func (e *SendError) join(next *SendError) *SendError {
	if e == nil || e.Last+1 != next.First {
		return nil
	}
	var refusal, following *Error
	if !errors.As(e.Err, &refusal) || !errors.As(next.Err, &following) || refusal.Code != following.Code {
		return nil
	}
	return &SendError{First: e.First, Last: next.Last, Err: e.Err}
}

// FlushError is the error of Flush and Close when events given to Send since
// the previous Flush were not sequenced, or may not have been.
type FlushError struct {
	Refused uint64     // events that the gateway refused
	Lost    uint64     // events in flight when the connection broke or was closed
	First   *SendError // the first of either
}

// Error implements error.
func (e *FlushError) Error() string {
	return fmt.Sprintf("%d events refused, %d lost, first: %v", e.Refused, e.Lost, e.First)
}

// Unwrap returns First.
func (e *FlushError) Unwrap() error { return e.First }

// notSent marks cause as the reason why an event never left the process.
func notSent(cause error) error { return fmt.Errorf("%w: %w", ErrNotSent, cause) }
