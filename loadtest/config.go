package loadtest

import (
	"errors"
	"fmt"
	"time"
)

// Limits and defaults of a Fanout.
const (
	MaxClients  = 1 << 20
	MaxChannels = 1 << 16
	MaxEvents   = 1 << 23
	MaxWindow   = 1 << 16
	MaxLoops    = 64

	DefaultConnecting = 128
	DefaultSettle     = time.Second
	DefaultStall      = 5 * time.Second
)

// Fanout describes a run: clients that subscribe, and events that are published
// to them. Client i subscribes to channel i modulo Channels, and event e goes
// to channel e modulo Channels.
type Fanout struct {
	URL     string // where clients connect: ws://HOST:PORT/PATH
	Publish string // host:port of the publish port, if the profile has one
	Profile string // ProfileFleetcast (the default) or ProfileRaw

	Clients  int // subscribers, 1 to MaxClients; default 1
	Channels int // 1 to MaxChannels, not more than Clients; default 1
	Payload  int // bytes of an event's data, MinPayload to MaxPayload; default 128

	Events   int           // how many, 1 to MaxEvents; from Rate and Duration if those are given
	Window   int           // events in flight at most, 1 to MaxWindow; default 1; means nothing with Rate
	Rate     float64       // events per second, open loop; 0: by Window
	Duration time.Duration // with Rate; default 10 s

	PID        int           // of the server, if it is on this machine; 0: its cost is not measured
	Loops      int           // of the harness, 1 to MaxLoops; default 1
	Connecting int           // clients of a loop on their way at a time; default DefaultConnecting
	Settle     time.Duration // idle time before memory is read; 0 means DefaultSettle
	Stall      time.Duration // time without a delivery after which events are given up; default DefaultStall
}

// complete returns a checked copy with the defaults filled in.
func (f Fanout) complete() (*Fanout, error) {
	setDefault(&f.Profile, ProfileFleetcast)
	setDefault(&f.Clients, 1)
	setDefault(&f.Channels, 1)
	setDefault(&f.Payload, 128)
	setDefault(&f.Window, 1)
	setDefault(&f.Loops, 1)
	setDefault(&f.Connecting, DefaultConnecting)
	setDefault(&f.Settle, DefaultSettle)
	setDefault(&f.Stall, DefaultStall)
	if f.Rate > 0 {
		setDefault(&f.Duration, 10*time.Second)
		// A product past the limit must not wrap on its way into an int.
		f.Events = int(min(f.Rate*f.Duration.Seconds()+0.5, MaxEvents+1))
	}
	setDefault(&f.Events, 1000)
	return &f, f.check()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (f *Fanout) check() error {
	within := func(name string, value, least, most int) error {
		if value < least || value > most {
			return fmt.Errorf("%s is %d: want %d to %d", name, value, least, most)
		}
		return nil
	}
	err := errors.Join(
		within("clients", f.Clients, 1, MaxClients),
		within("channels", f.Channels, 1, MaxChannels),
		within("payload", f.Payload, MinPayload, MaxPayload),
		within("events", f.Events, 1, MaxEvents),
		within("window", f.Window, 1, MaxWindow),
		within("loops", f.Loops, 1, MaxLoops),
		within("connecting", f.Connecting, 1, MaxClients),
	)
	if f.Channels > f.Clients {
		err = errors.Join(err, fmt.Errorf("%d channels need as many clients, not %d", f.Channels, f.Clients))
	}
	if f.Profile == ProfileRaw && f.Channels > 1 {
		err = errors.Join(err, fmt.Errorf("a %s server has no channels: want 1, not %d", ProfileRaw, f.Channels))
	}
	if !(f.Rate >= 0) || f.Settle < 0 || f.Stall < 0 || f.Duration < 0 || f.PID < 0 {
		err = errors.Join(err, errors.New("rate, duration, settle, stall and pid must not be negative"))
	}
	return err
}
