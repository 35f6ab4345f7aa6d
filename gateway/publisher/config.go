package publisher

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"
)

// Defaults of Config, and limits that cannot be configured.
const (
	DefaultDialTimeout  = 5 * time.Second
	DefaultWriteTimeout = time.Minute
	DefaultCloseTimeout = 5 * time.Second
	DefaultMinBackoff   = 50 * time.Millisecond
	DefaultMaxBackoff   = 5 * time.Second
	DefaultWriteBuffer  = 1 << 20 // bytes
	DefaultMaxInFlight  = 16 << 10

	// keepAlive is how long a silent connection waits before the kernel probes
	// the gateway's host.
	keepAlive = 15 * time.Second

	// maxNotices bounds the reports that wait for the user's callbacks.
	maxNotices = 1024
)

// Config says how a Publisher behaves. The zero value of every field stands for
// its default.
type Config struct {
	// DialTimeout bounds each attempt to connect. Default 5 s.
	DialTimeout time.Duration
	// WriteTimeout is how long one write (at most WriteBuffer bytes) may take before
	// the connection is given up. A gateway under load stops reading on purpose, so do
	// not set it too short. A host that acknowledges nothing for as long is given up
	// too. Default 60 s.
	WriteTimeout time.Duration
	// CloseTimeout bounds how long Close waits for what was sent. Default 5 s.
	CloseTimeout time.Duration

	// MinBackoff and MaxBackoff bound the pause before an attempt to reconnect.
	// It doubles from one to the other; each pause is then varied by half of
	// itself in either direction, so that publishers do not return in step.
	// Defaults 50 ms and 5 s.
	MinBackoff, MaxBackoff time.Duration

	// WriteBuffer is the size in bytes of each of the two write buffers, and
	// with it the limit of one request. Default 1 MiB.
	WriteBuffer int
	// MaxInFlight is how many requests may await a reply. Default 16,384.
	MaxInFlight int

	// Key returns the key that a connection shows (fleetcast key new makes one), where the
	// gateway wants one. It is called for each attempt to connect, so a new key counts
	// from the next connection on. If nil, no key is shown. A gateway that wants none
	// takes any.
	Key func() (string, error)

	// FailFast makes calls fail at once with ErrDisconnected and ErrNotSent
	// while there is no connection, instead of waiting for the next one.
	FailFast bool

	// Repeat has Publish and PublishMany send an event again when the connection breaks before
	// the answer has come, as long as their context allows. Each event gets an idempotency text
	// of its own, if it has none (see WithIdempotency), so that the gateway publishes it once.
	// But a gateway that was restarted between the two has forgotten it, and publishes it
	// again, and so does one of a version that knows no such texts. Send and batches do not
	// repeat.
	Repeat bool

	// OnError is called for events given to Send that were refused or lost. Refusals in
	// a row with one code that wait together come in one call. Calls come one after the
	// other. While one blocks, at most 1,024 further reports wait. More are dropped,
	// and only FlushError counts them. OnError must not call Flush or Close, which wait
	// for it.
	OnError func(*SendError)
	// OnStateChange is called for the connection's changes, with the cause if there is
	// one. It is called like OnError, and in order with it.
	OnStateChange func(State, error)
	// Logger gets what OnError and OnStateChange get, and failed attempts to
	// connect. If nil, nothing is logged.
	Logger *slog.Logger
}

// complete returns c with defaults in place of zero values, or says which value
// makes no sense.
func (c Config) complete() (Config, error) {
	for _, d := range []struct {
		name     string
		value    *time.Duration
		fallback time.Duration
	}{
		{"DialTimeout", &c.DialTimeout, DefaultDialTimeout},
		{"WriteTimeout", &c.WriteTimeout, DefaultWriteTimeout},
		{"CloseTimeout", &c.CloseTimeout, DefaultCloseTimeout},
		{"MinBackoff", &c.MinBackoff, DefaultMinBackoff},
		{"MaxBackoff", &c.MaxBackoff, max(DefaultMaxBackoff, c.MinBackoff)},
	} {
		if *d.value < 0 {
			return c, fmt.Errorf("publisher: %s is negative: %v", d.name, *d.value)
		}
		*d.value = cmp.Or(*d.value, d.fallback)
	}
	if c.MinBackoff > c.MaxBackoff {
		return c, fmt.Errorf("publisher: MinBackoff %v exceeds MaxBackoff %v", c.MinBackoff, c.MaxBackoff)
	}
	if c.WriteBuffer < 0 || c.MaxInFlight < 0 {
		return c, fmt.Errorf("publisher: WriteBuffer %d or MaxInFlight %d is negative", c.WriteBuffer, c.MaxInFlight)
	}
	c.WriteBuffer, c.MaxInFlight = cmp.Or(c.WriteBuffer, DefaultWriteBuffer), cmp.Or(c.MaxInFlight, DefaultMaxInFlight)
	return c, nil
}
