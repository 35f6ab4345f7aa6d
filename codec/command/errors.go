package command

import (
	"errors"
	"strconv"

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
)

// Error is a refusal as it goes over the wire.
type Error struct {
	Code    Code
	Message string // for people; UTF-8
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Refusals whose text never varies, made once so that refusing allocates nothing.
var (
	errRepeatedKey    = &Error{BadRequest, "a key is repeated"}
	errBadID          = &Error{BadRequest, "id must be an integer from 0 to 9007199254740991"}
	errBadType        = &Error{BadRequest, "type must be a string"}
	errNoType         = &Error{BadRequest, "type is missing"}
	errUnknownType    = &Error{UnknownType, "type must be subscribe, unsubscribe, publish or ping"}
	errChannelType    = &Error{BadRequest, "channel must be a string"}
	errChannelsType   = &Error{BadRequest, "channels must be an array of strings"}
	errNoChannels     = &Error{BadRequest, "channels is empty"}
	errTooMany        = &Error{LimitExceeded, "channels has more than " + strconv.Itoa(MaxChannels) + " names"}
	errBothChannels   = &Error{BadRequest, "channel and channels exclude each other"}
	errNoChannel      = &Error{BadRequest, "channel is missing"}
	errBadSince       = &Error{BadRequest, "since must be an object with epoch, a string, and offset, an integer"}
	errSinceChannels  = &Error{BadRequest, "since goes with channel, not with channels"}
	errNoData         = &Error{BadRequest, "data is missing"}
	errNotObject      = &Error{BadRequest, "a message is one JSON object"}
	errChannelEmpty   = &Error{BadChannel, "a channel name is empty"}
	errChannelLong    = &Error{BadChannel, "a channel name is longer than " + strconv.Itoa(MaxChannel) + " bytes"}
	errChannelUTF8    = &Error{BadChannel, "a channel name is not valid UTF-8"}
	errChannelControl = &Error{BadChannel, "a channel name holds a space or a control character"}
)

// SyntaxError returns the refusal of a text in which a walk of package jsonscan met err, offset
// bytes into it.
func SyntaxError(text []byte, err error, offset int) *Error {
	if errors.Is(err, jsonscan.ErrSyntax) && !startsObject(text) {
		return errNotObject
	}
	return &Error{BadRequest, err.Error() + " at byte " + strconv.Itoa(offset)}
}

func startsObject(text []byte) bool {
	for _, c := range text {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c == '{'
		}
	}
	return false
}
