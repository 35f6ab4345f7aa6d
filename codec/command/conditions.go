package command

import (
	"strconv"

	"fleetcast/codec/jsonscan"
)

// MaxIdempotency is the length of the longest idempotency text, in bytes.
const MaxIdempotency = 64

// Conditions are those under which an event is published. Clients and publishers write them alike.
// The zero value has none.
type Conditions struct {
	// Idempotency names the event: while the gateway remembers that an event of this name was
	// published to the channel, it publishes no other. Empty: the event has no name.
	Idempotency []byte
	// Expect is where the channel must be. It is valid if HasExpect.
	Expect    Since
	HasExpect bool
}

// Refusals of conditions.
var (
	errBadIdempotency = &Error{Code: BadRequest, Message: "idempotency must be a string of 1 to " + strconv.Itoa(MaxIdempotency) + " bytes"}
	errBadExpect      = &Error{Code: BadRequest, Message: "expect must be an object with epoch, a string, and offset, an integer"}
	// ErrExpectChannels is for a request with several channels: each has a position of its own.
	ErrExpectChannels = &Error{Code: BadRequest, Message: "expect goes with channel, not with channels"}
)

// OrNil is c, or nil if c has no conditions.
func (c *Conditions) OrNil() *Conditions {
	if len(c.Idempotency) == 0 && !c.HasExpect {
		return nil
	}
	return c
}

// TakeIdempotency reads the member idempotency.
func (c *Conditions) TakeIdempotency(raw []byte, u *jsonscan.Unquoter) *Error {
	text, err := u.Text(raw)
	if err != nil || len(text) == 0 || len(text) > MaxIdempotency {
		return errBadIdempotency
	}
	c.Idempotency = text
	return nil
}

// TakeExpect reads the member expect, which is written as since is.
func (c *Conditions) TakeExpect(raw []byte, u *jsonscan.Unquoter) *Error {
	var at Start
	switch err := at.takeSince(raw, u); err {
	case nil:
		c.Expect, c.HasExpect = at.Since, true
		return nil
	case errBadSince:
		return errBadExpect
	default:
		return err
	}
}

// AppendNow appends the members by which a refusal tells where the channel is, behind other
// members; nothing if e does not say it.
func (e *Error) AppendNow(dst []byte) []byte {
	if e.Now == nil {
		return dst
	}
	dst = appendText(dst, `,"epoch":`, e.Now.Epoch)
	return strconv.AppendUint(append(dst, `,"offset":`...), e.Now.Offset, 10)
}

// AppendPublishedAt appends the answer to a publish with conditions: where the event stands, and
// whether it stood there before.
func AppendPublishedAt[C, E jsonscan.Text](dst []byte, id ID, channel C, epoch E, offset uint64, duplicate bool) []byte {
	dst = appendText(appendHead(dst, `{"type":"published"`, id), `,"channel":`, channel)
	dst = strconv.AppendUint(append(appendText(dst, `,"epoch":`, epoch), `,"offset":`...), offset, 10)
	if duplicate {
		dst = append(dst, `,"duplicate":true`...)
	}
	return append(dst, '}')
}
