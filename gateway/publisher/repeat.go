package publisher

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
)

// named gives an event that may be repeated a name, if it has none.
func (p *Publisher) named(options []EventOption) []EventOption {
	if !p.cfg.Repeat || slices.ContainsFunc(options, func(o EventOption) bool { return o.kind == optionIdempotency }) {
		return options
	}
	return append(slices.Clip(options), WithIdempotency(rand.Text()))
}

// repeat calls publish, and with Config.Repeat again as long as the connection breaks before the
// answer. It returns the last error, as Publish does.
func (p *Publisher) repeat(ctx context.Context, publish func() error) error {
	err := publish()
	for p.cfg.Repeat && isUnanswered(err) {
		again := publish()
		if !isUnanswered(again) {
			return unrepeated(ctx, err, again)
		}
		err = again
	}
	return err
}

// isUnanswered tells whether the connection broke before the answer came.
func isUnanswered(err error) bool {
	return errors.Is(err, ErrDisconnected) && !errors.Is(err, ErrNotSent)
}

// unrepeated is the outcome of an event for which an attempt had no answer, and the next one
// ended with err. The first one may have been sequenced, so the error matches neither ErrNotSent
// nor *Error.
func unrepeated(ctx context.Context, unanswered, err error) error {
	if err == nil {
		return nil
	}
	how := "repeated"
	if errors.Is(err, ErrNotSent) {
		how = "not repeated"
	}
	for _, cause := range []error{ctx.Err(), ErrClosed} {
		if cause != nil && errors.Is(err, cause) {
			return fmt.Errorf("%w; %s: %w", unanswered, how, cause)
		}
	}
	return fmt.Errorf("%w; %s: %v", unanswered, how, err) // FailFast, or a refusal
}
