package publisher

import (
	"fmt"
	"unicode/utf8"

	"fleetcast/codec/jsonscan"
	"fleetcast/codec/publish"
)

// EventOption says more of an event than its channel and data.
type EventOption struct{ key string }

// WithKey names what an event is about, such as an instrument: 1 to 255 bytes of UTF-8.
// For a subscriber that does not keep up, a channel with the policy conflate keeps the
// newest waiting event of each key. Without a key an event is about the channel as a
// whole.
func WithKey(key string) EventOption { return EventOption{key} }

// keyOf is the key of an event, "" if it has none. The error is an *Error.
func keyOf(options []EventOption) (key string, err error) {
	for _, o := range options {
		if o.key == "" || len(o.key) > publish.MaxKey || !utf8.ValidString(o.key) {
			return "", &Error{Code: CodeBadRequest, Message: fmt.Sprintf("a key must be 1 to %d bytes of UTF-8", publish.MaxKey)}
		}
		key = o.key
	}
	return key, nil
}

// appendKey appends the member for a key that was checked.
func appendKey(dst []byte, key string) []byte {
	if key == "" {
		return dst
	}
	return jsonscan.AppendString(append(dst, `,"key":`...), key)
}

// keyLength bounds the length of what appendKey appends. A control character
// becomes six bytes.
func keyLength(key string) int {
	if key == "" {
		return 0
	}
	return len(`,"key":""`) + 6*len(key)
}
