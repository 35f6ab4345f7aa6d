package publisher

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
	"fleetcast/codec/publish"
)

// EventOption says more of an event than its channel and data.
type EventOption struct {
	kind   optionKind
	text   string
	offset uint64
}

type optionKind uint8

const (
	optionKey optionKind = iota
	optionIdempotency
	optionExpect
)

// WithKey names what an event is about, such as an instrument: 1 to 255 bytes of UTF-8.
// For a subscriber that does not keep up, a channel with the policy conflate keeps the
// newest waiting event of each key. Without a key an event is about the channel as a
// whole.
func WithKey(key string) EventOption { return EventOption{kind: optionKey, text: key} }

// WithIdempotency names the event itself, such as an order: 1 to 64 bytes of UTF-8. An event
// that is published again under the same name to the same channel within 5 minutes is not
// published, and its result is that of the first one, with Duplicate. So it is safe to publish it again if the
// first answer was lost, as long as the gateway was not restarted meanwhile. The name should be
// one that nothing else can have, such as a UUID. Gateways of a version that does not know it
// ignore it.
func WithIdempotency(name string) EventOption {
	return EventOption{kind: optionIdempotency, text: name}
}

// WithExpect has the gateway publish the event only if the channel is at this position: that of
// its latest event, or offset 0 before the first one. Otherwise it refuses the event with
// [CodeConflict]. PublishMany does not take it.
func WithExpect(epoch string, offset uint64) EventOption {
	return EventOption{kind: optionExpect, text: epoch, offset: offset}
}

// eventOptions are all options of an event.
type eventOptions struct {
	key, idempotency string // "" if there is none
	epoch            string
	offset           uint64
	expects          bool // epoch and offset count
}

// optionsOf puts options together; of one kind the last counts. The error is an *Error.
func optionsOf(options []EventOption) (o eventOptions, err error) {
	for _, option := range options {
		switch option.kind {
		case optionKey:
			o.key, err = option.text, checkText(option.text, "a key", publish.MaxKey)
		case optionIdempotency:
			o.idempotency, err = option.text, checkText(option.text, "an idempotency text", command.MaxIdempotency)
		case optionExpect:
			o.epoch, o.offset, o.expects = option.text, option.offset, true
			if option.offset > jsonscan.MaxUint || !utf8.ValidString(option.text) {
				err = &Error{Code: CodeBadRequest, Message: fmt.Sprintf("the position that is expected must have an epoch in UTF-8 and an offset of at most %d", uint64(jsonscan.MaxUint))}
			}
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

func checkText(text, what string, longest int) error {
	if text == "" || len(text) > longest || !utf8.ValidString(text) {
		return &Error{Code: CodeBadRequest, Message: fmt.Sprintf("%s must be 1 to %d bytes of UTF-8", what, longest)}
	}
	return nil
}

// append appends the members for options that were checked.
func (o *eventOptions) append(dst []byte) []byte {
	if o.key != "" {
		dst = jsonscan.AppendString(append(dst, `,"key":`...), o.key)
	}
	if o.idempotency != "" {
		dst = jsonscan.AppendString(append(dst, `,"idempotency":`...), o.idempotency)
	}
	if o.expects {
		dst = jsonscan.AppendString(append(dst, `,"expect":{"epoch":`...), o.epoch)
		dst = append(strconv.AppendUint(append(dst, `,"offset":`...), o.offset, 10), '}')
	}
	return dst
}

// length bounds the length of what append appends. A control character becomes six bytes.
func (o *eventOptions) length() (n int) {
	if o.key != "" {
		n += len(`,"key":""`) + 6*len(o.key)
	}
	if o.idempotency != "" {
		n += len(`,"idempotency":""`) + 6*len(o.idempotency)
	}
	if o.expects {
		n += len(`,"expect":{"epoch":"","offset":9007199254740991}`) + 6*len(o.epoch)
	}
	return n
}
