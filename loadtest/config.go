package loadtest

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"fleetcast/loadtest/profile"
)

// Limits and defaults.
const (
	MaxClients   = 1 << 20
	MaxChannels  = 1 << 16
	MaxEvents    = 1 << 23
	MaxWindow    = 1 << 16
	MaxKeys      = 1 << 16
	MaxLoops     = 64
	MaxProcesses = 64

	DefaultProfile    = "fleetcast"
	DefaultConnecting = 128
	DefaultSettle     = time.Second
	DefaultStall      = 5 * time.Second
	DefaultPayload    = 128
	DefaultDuration   = 10 * time.Second
)

// NoProcess as PID means that the server's cost is not measured.
const NoProcess = -1

// Common is the configuration of every scenario: where the server is, how to speak to
// it, and what the harness may use.
type Common struct {
	URL string // where clients connect: ws://HOST:PORT/PATH; without a path, the profile's
	// Publish is where events are published, host:port or an http URL, if the profile
	// has such a port. Empty: the host of URL, at the profile's port; of an HTTP API, at
	// the port of URL.
	Publish string
	Profile string // a built-in target profile's name or a file's path; default DefaultProfile
	Via     string // ndjson or resp: the protocol of the publish port, instead of that of the profile
	Key     string // shown to the publish port or the API, if not empty; no report has it

	// Token makes what a client shows in its handshake as Authorization: Bearer, by its
	// number over all clients of the run. nth is 0, and 1 where the client gets a second
	// token (Storm.NewTokens), which must be another text. It is called before the run, by
	// one goroutine. Nil: clients show nothing. OneToken has it called once, for all. No
	// report has a token.
	Token    func(client, nth int) (string, error)
	OneToken bool
	// ResumeTickets has clients that come back show the ticket of their last welcome
	// instead, as long as it is good, if the server gives them one (fleetcast.v1).
	ResumeTickets bool

	PID     int          // of the server; 0: whoever listens on the URL's port, if on this machine
	PIDs    []int        // of the server, if it has several processes; PID means nothing then
	Sources []netip.Addr // where clients connect from, in turn; none: the kernel chooses, or several if the server is on loopback and there are many

	Processes  int           // of the harness, 1 to MaxProcesses; default 1
	Loops      int           // of each process, 1 to MaxLoops; default 1
	Connecting int           // clients of a loop on their way at a time; default DefaultConnecting
	Settle     time.Duration // idle time before memory is read; default DefaultSettle
	Stall      time.Duration // time without a delivery after which events are given up; default DefaultStall

	// Deflate is the share of the clients, 0 to 1, that offer permessage-deflate as
	// browsers do (RFC 7692). They are spread evenly over channels and loops, the
	// same in every run. A server may decline, which the result tells.
	Deflate float64

	// NoYield lets all loops use the processor equally. Otherwise, if a scenario has a
	// loop that measures, the loops that only make work yield to it. On a machine that
	// others keep busy they then hardly run, nor does the process, because Go's
	// collector waits for every thread.
	NoYield bool

	// Member is the command that starts one more process of the harness: it must
	// call ServeMember. Without it there is one process.
	Member []string
	// Command is the command line that asked for the run, for the report.
	Command []string
	// Observe is called with every sample of the timeline, by one goroutine. It must
	// return soon.
	Observe func(Sample)
}

// Traffic says which events are published. Event e goes to channel e modulo
// Channels.
type Traffic struct {
	Channels int     // 1 to MaxChannels; default 1
	Payload  int     // bytes of an event's data, MinPayload to MaxPayload; default 128
	Data     Data    // what it holds; default DataRandom
	Events   int     // how many, 1 to MaxEvents; with Rate it follows from the time
	Window   int     // events in flight at most, 1 to MaxWindow; default 1; means nothing with Rate
	Rate     float64 // events per second, open loop; 0: by Window
	// Keys is how many keys the events of a channel have, in turn, by which a server
	// may conflate; 0 to MaxKeys. It takes a profile that publishes JSON lines.
	Keys int
	// Publishers is how many connections publish, each the events of other channels;
	// 1 to Channels; default 1.
	Publishers int
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c *Common) complete() {
	setDefault(&c.Profile, DefaultProfile)
	setDefault(&c.Processes, 1)
	setDefault(&c.Loops, 1)
	setDefault(&c.Connecting, DefaultConnecting)
	setDefault(&c.Settle, DefaultSettle)
	setDefault(&c.Stall, DefaultStall)
}

func (t *Traffic) complete() {
	setDefault(&t.Channels, 1)
	setDefault(&t.Payload, DefaultPayload)
	setDefault(&t.Data, DataRandom)
	setDefault(&t.Window, 1)
	setDefault(&t.Publishers, 1)
}

// ofRate is how many events a rate makes in a time, at least one. A product past
// the limit must not wrap on its way into an int.
func ofRate(rate float64, duration time.Duration) int {
	return int(max(min(rate*duration.Seconds()+0.5, MaxEvents+1), 1))
}

// checks gathers what is wrong with a configuration.
type checks []error

func (c *checks) within(name string, value, least, most int) {
	if value < least || value > most {
		*c = append(*c, fmt.Errorf("%s is %d: want %d to %d", name, value, least, most))
	}
}

func (c *checks) notNegative(name string, value float64) {
	if !(value >= 0) {
		*c = append(*c, fmt.Errorf("%s is %v: must not be negative", name, value))
	}
}

func (c *checks) common(config *Common) {
	c.within("loops", config.Loops, 1, MaxLoops)
	c.within("processes", config.Processes, 1, MaxProcesses)
	c.within("connecting", config.Connecting, 1, MaxClients)
	c.notNegative("settle", config.Settle.Seconds())
	c.notNegative("stall", config.Stall.Seconds())
	if !(config.Deflate >= 0 && config.Deflate <= 1) {
		*c = append(*c, fmt.Errorf("deflate is %v: want a share from 0 to 1", config.Deflate))
	}
	if config.Processes > 1 && len(config.Member) == 0 {
		*c = append(*c, errors.New("several processes need the command that starts one"))
	}
	if config.Via != "" && config.Via != "ndjson" && config.Via != "resp" {
		*c = append(*c, fmt.Errorf("via is %q: want ndjson or resp", config.Via))
	}
}

func (c *checks) traffic(t *Traffic) {
	c.within("channels", t.Channels, 1, MaxChannels)
	c.within("payload", t.Payload, MinPayload, MaxPayload)
	c.data(t.Data)
	if t.Rate > 0 && t.Events > MaxEvents {
		*c = append(*c, fmt.Errorf("%v events a second, for as long as that, are more than %d: choose a lower rate or less time", t.Rate, MaxEvents))
	} else {
		c.within("events", t.Events, 1, MaxEvents)
	}
	c.within("window", t.Window, 1, MaxWindow)
	c.notNegative("rate", t.Rate)
	c.within("keys", t.Keys, 0, MaxKeys)
	c.within("publishers", t.Publishers, 1, max(t.Channels, 1))
}

func (c *checks) data(d Data) {
	if d != DataRandom && d != DataRecords {
		*c = append(*c, fmt.Errorf("data is %q: want %s or %s", d, DataRandom, DataRecords))
	}
}

func (c *checks) err() error { return errors.Join(*c...) }

// loadProfile loads the profile and adapts it.
func (c *Common) loadProfile() (*profile.Profile, error) {
	p, err := profile.Load(c.Profile)
	if err != nil {
		return nil, err
	}
	switch c.Via {
	case "ndjson":
		return p.WithPort(profile.NDJSON), nil
	case "resp":
		return p.WithPort(profile.RESP), nil
	}
	return p, nil
}

// serverPIDs are the processes of the server that were named: one of 0 or NoProcess if
// none was.
func (c *Common) serverPIDs() []int {
	if len(c.PIDs) > 0 {
		return c.PIDs
	}
	return []int{c.PID}
}
