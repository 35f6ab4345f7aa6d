package command

import (
	"encoding/binary"
	"strconv"
	"unicode"
	"unicode/utf8"

	"fleetcast/codec/jsonscan"
)

const (
	// MaxChannel is the length of the longest channel name, in bytes.
	MaxChannel = 255
	// MaxChannels is the number of names that one message may carry.
	MaxChannels = 1024
)

// ID is the number by which a client matches a reply to its command. The zero value is none.
type ID struct {
	Value uint64 // 0 to 2^53-1
	Set   bool
}

// NewID returns the ID with the given value, at most 2^53-1.
func NewID(value uint64) ID { return ID{Value: value, Set: true} }

// ParseID reads an id member's raw value. The error is bad_request.
func ParseID(raw []byte) (ID, *Error) {
	n, ok := jsonscan.Uint(raw)
	if !ok {
		return ID{}, errBadID
	}
	return NewID(n), nil
}

// CheckData refuses an event's data that usual JSON readers would not read. The error
// is bad_request.
func CheckData(data *jsonscan.Member) *Error {
	if data.Deep {
		return ErrDataDepth
	}
	return nil
}

// ErrDataDepth refuses data that nests deeper than jsonscan.MaxDepth.
var ErrDataDepth = &Error{
	Code:    BadRequest,
	Message: "data is nested deeper than " + strconv.Itoa(jsonscan.MaxDepth) + " levels of arrays and objects",
}

// AppendChannel appends the name in raw, a channel member's value, to names. It does not check the
// name; one that is no text is no valid UTF-8 either. The error is bad_request.
func AppendChannel(names [][]byte, raw []byte, u *jsonscan.Unquoter) ([][]byte, *Error) {
	name, err := u.Text(raw)
	if err != nil && err != jsonscan.ErrSurrogate {
		return names, errChannelType
	}
	return append(names, name), nil
}

// AppendChannels appends the names in raw, a channels member's value, to names, as AppendChannel does.
// The error is bad_request if raw is not an array of at least one string, and limit_exceeded
// if there are more than MaxChannels.
func AppendChannels(names [][]byte, raw []byte, u *jsonscan.Unquoter) ([][]byte, *Error) {
	array := jsonscan.NewArray(raw)
	var element []byte
	count := 0
	for ; array.Next(&element); count++ {
		if count == MaxChannels {
			return names, errTooMany
		}
		var err *Error
		if names, err = AppendChannel(names, element, u); err != nil {
			return names, errChannelsType
		}
	}
	if array.Err() != nil {
		return names, errChannelsType
	}
	if count == 0 {
		return names, errNoChannels
	}
	return names, nil
}

// CheckChannel reports why name cannot be a channel's. A name has 1 to MaxChannel bytes
// of UTF-8 without control characters and without white space (Unicode's Cc and
// White_Space). The error is an *Error with bad_channel.
func CheckChannel(name []byte) error {
	if len(name) == 0 {
		return errChannelEmpty
	}
	if len(name) > MaxChannel {
		return errChannelLong
	}
	rest := name
	for len(rest) >= 8 && graphic8(binary.LittleEndian.Uint64(rest)) {
		rest = rest[8:]
	}
	for i, c := range rest {
		if c >= utf8.RuneSelf {
			return checkUnicodeChannel(rest[i:])
		}
		if c <= ' ' || c == 0x7f {
			return errChannelControl
		}
	}
	return nil
}

// graphic8 tells whether each byte of w is a character of ASCII that is neither white
// space nor a control character: from 0x21 to 0x7e. A subtraction of 0x21 and an
// addition of 1 set the high bit of the first byte that is not; what they carry into
// the bytes above does not matter then.
func graphic8(w uint64) bool {
	const low, high = 0x0101010101010101, 0x8080808080808080
	return (w|(w-0x21*low)|(w+low))&high == 0
}

// CheckChannelWithin is CheckChannel for names of at most longest bytes, which is at most MaxChannel.
func CheckChannelWithin(name []byte, longest int) error {
	if err := CheckChannel(name); err != nil || len(name) <= longest {
		return err
	}
	return channelTooLong(longest)
}

func channelTooLong(longest int) *Error {
	return &Error{Code: BadChannel, Message: "a channel name is longer than " + strconv.Itoa(longest) + " bytes"}
}

func checkUnicodeChannel(name []byte) error {
	if !utf8.Valid(name) {
		return errChannelUTF8
	}
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRune(name[i:])
		if unicode.IsControl(r) || unicode.IsSpace(r) {
			return errChannelControl
		}
		i += size
	}
	return nil
}

// QuoteChannel returns the name for a message to a person: in ASCII, in quotes,
// cut to a length that is good to read. It may be any bytes.
func QuoteChannel(name []byte) string {
	const shown = 64
	if len(name) > shown {
		return strconv.QuoteToASCII(string(name[:shown])) + "..."
	}
	return strconv.QuoteToASCII(string(name))
}
