package command

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"fleetcast/codec/jsonscan"
)

// Code is an error code of the client protocol and of the publish port.
type Code string

// The error codes. They are part of the protocol.
const (
	BadRequest        Code = "bad_request"
	UnknownType       Code = "unknown_type"
	BadChannel        Code = "bad_channel"
	AlreadySubscribed Code = "already_subscribed"
	NotSubscribed     Code = "not_subscribed"
	PermissionDenied  Code = "permission_denied"
	LimitExceeded     Code = "limit_exceeded"
	RateLimited       Code = "rate_limited"
	NotAvailable      Code = "not_available"
	Internal          Code = "internal"
	// Conflict is for an event whose channel is not where its publisher expects it.
	Conflict Code = "conflict"
	// Withdrawn is for a subscription that an operator has ended.
	Withdrawn Code = "withdrawn"
	// PermissionExpired is for a subscription that a hook has allowed for a time, which is over.
	PermissionExpired Code = "permission_expired"
	// AuthenticationRequired is for commands of a client that must say who it is first, and
	// for publishers and the API, where a key is needed and none was given. InvalidKey is for
	// these where there is no such key.
	AuthenticationRequired Code = "authentication_required"
	InvalidKey             Code = "invalid_key"
)

// Error is a refusal as it goes over the wire.
type Error struct {
	Code    Code
	Message string // for people; UTF-8
	// RetryAfter is the time after which the same is worth another try; 0 if that
	// is not known.
	RetryAfter time.Duration
	// Now is where the channel is, with Conflict; otherwise nil.
	Now *Since
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// RetryAfterMS is RetryAfter as it goes over the wire: rounded up, so that a client
// that obeys it is not early.
func (e *Error) RetryAfterMS() uint64 {
	return uint64((e.RetryAfter + time.Millisecond - 1) / time.Millisecond)
}

// Refusals with a fixed text. They are made once, so that a refusal allocates nothing.
var (
	errRepeatedKey     = &Error{Code: BadRequest, Message: "a key is repeated"}
	errBadID           = &Error{Code: BadRequest, Message: "id must be an integer from 0 to 9007199254740991"}
	errBadType         = &Error{Code: BadRequest, Message: "type must be a string"}
	errNoType          = &Error{Code: BadRequest, Message: "type is missing"}
	errUnknownType     = &Error{Code: UnknownType, Message: "type must be subscribe, unsubscribe, publish, history, ping or authenticate"}
	errChannelType     = &Error{Code: BadRequest, Message: "channel must be a string"}
	errChannelsType    = &Error{Code: BadRequest, Message: "channels must be an array of strings"}
	errElementType     = &Error{Code: BadRequest, Message: "channels must be an array of strings, or of objects with channel and since or last"}
	errNoChannels      = &Error{Code: BadRequest, Message: "channels is empty"}
	errTooMany         = &Error{Code: LimitExceeded, Message: "channels has more than " + strconv.Itoa(MaxChannels) + " names"}
	errBothChannels    = &Error{Code: BadRequest, Message: "channel and channels exclude each other"}
	errNoChannel       = &Error{Code: BadRequest, Message: "channel is missing"}
	errBadSince        = &Error{Code: BadRequest, Message: "since must be an object with epoch, a string, and offset, an integer"}
	errSinceChannels   = &Error{Code: BadRequest, Message: "since goes with channel; in channels, each object has its own"}
	errSinceLast       = &Error{Code: BadRequest, Message: "since and last exclude each other"}
	errSinceBefore     = &Error{Code: BadRequest, Message: "since and before exclude each other"}
	errBadLast         = &Error{Code: BadRequest, Message: "last must be an integer from 1 to " + strconv.Itoa(MaxLast)}
	errBadBefore       = &Error{Code: BadRequest, Message: "before must be an integer from 1 to 9007199254740991"}
	errBadLimit        = &Error{Code: BadRequest, Message: "limit must be an integer from 1 to " + strconv.Itoa(MaxHistory)}
	errHistoryChannels = &Error{Code: BadRequest, Message: "history goes with channel, not with channels"}
	errHistoryLast     = &Error{Code: BadRequest, Message: "history takes limit, not last"}
	errBadToken        = &Error{Code: BadRequest, Message: "token must be a string that is not empty"}
	errNoToken         = &Error{Code: BadRequest, Message: "token is missing"}
	errTokenChannels   = &Error{Code: BadRequest, Message: "token goes with channel, not with channels"}
	errNoData          = &Error{Code: BadRequest, Message: "data is missing"}
	errUTF16           = &Error{Code: BadRequest, Message: "the text starts with the byte order mark of UTF-16; send UTF-8"}
	errNotObject       = &Error{Code: BadRequest, Message: "a message is one JSON object"}
	errChannelEmpty    = &Error{Code: BadChannel, Message: "a channel name is empty"}
	errChannelLong     = channelTooLong(MaxChannel)
	errChannelUTF8     = &Error{Code: BadChannel, Message: "a channel name is not valid UTF-8"}
	errChannelControl  = &Error{Code: BadChannel, Message: "a channel name holds a space or a control character"}
)

// SyntaxError returns the refusal of a text in which a walk of package jsonscan met err, offset
// bytes into it.
func SyntaxError(text []byte, err error, offset int) *Error {
	if jsonscan.HasUTF16Mark(text) {
		return errUTF16
	}
	if errors.Is(err, jsonscan.ErrSyntax) && !startsObject(text) {
		return errNotObject
	}
	return &Error{Code: BadRequest, Message: err.Error() + " at byte " + strconv.Itoa(offset)}
}

func startsObject(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{"))
}

// RefusalOf returns the error that a client or publisher gets for err: err itself if it
// is an [Error] or wraps one, otherwise an internal error with its text.
func RefusalOf(err error) *Error {
	// Usually it is one. This check is fast, because a command may be refused a
	// thousand times.
	if refusal, ok := err.(*Error); ok {
		return refusal
	}
	if refusal, ok := errors.AsType[*Error](err); ok {
		return refusal
	}
	return &Error{Code: Internal, Message: err.Error()}
}
