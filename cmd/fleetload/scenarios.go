package main

import (
	"context"
	"errors"
	"time"

	"fleetcast/loadtest"
)

type connectCommand struct {
	commonFlags
	clientFlags
	Clients  int           `default:"1000" help:"Clients."`
	Channels int           `default:"1" help:"Channels, over which clients are spread evenly."`
	Rate     float64       `help:"Connections per second; as fast as it goes without it."`
	Hold     time.Duration `zero:"" default:"5s" help:"How long they stay."`
}

// Run makes the run and prints its result.
func (c *connectCommand) Run(ctx context.Context, std streams) error {
	config := loadtest.Connect{Common: c.common(), Clients: c.Clients, Channels: c.Channels, Rate: c.Rate, Hold: c.Hold}
	return c.play(std, loadtest.Figures("connect", false), &config.Common, &c.clientFlags, func() (*loadtest.Result, error) { return loadtest.RunConnect(ctx, config) })
}

type fanoutCommand struct {
	commonFlags
	clientFlags
	trafficFlags
	Clients  int           `default:"1000" help:"Subscribers."`
	Events   int           `default:"1000" help:"Events to publish."`
	Window   int           `default:"1" help:"Events in flight at most; one is out of flight when all subscribers have it."`
	Rate     float64       `help:"Events per second, open loop: instead of --events and --window."`
	Duration time.Duration `help:"How long to publish: 10s with --rate; without it, until all events are published."`
	cutFlags
}

// cutFlags are those of a fan-out in which clients recover.
type cutFlags struct {
	Recover  bool          `help:"After --duration with all, cut some clients off now and then for as long again. They come back with the position that they have and must get what they have missed. Events come at --rate, 100 a second without it."`
	CutShare float64       `default:"0.1" help:"With --recover: share of the clients that is cut off, in turn."`
	Cuts     float64       `default:"20" help:"With --recover: clients that are cut off per second; every second one vanishes without a word."`
	Away     time.Duration `default:"500ms" help:"With --recover: how long each stays away."`
	Missed   int           `placeholder:"EVENTS" help:"With --recover: one more client, on a channel of its own, has missed so many events. It recovers all of them once a second."`
}

func (c *cutFlags) cuts() loadtest.Cuts {
	return loadtest.Cuts{Recover: c.Recover, Share: c.CutShare, Rate: c.Cuts, Away: c.Away, Missed: c.Missed}
}

// Validate is called by the parser.
func (c *fanoutCommand) Validate() error {
	switch {
	case c.Duration < 0:
		return errors.New("duration must not be negative")
	case c.Missed > 0 && !c.Recover:
		return errors.New("--missed is for clients that --recover")
	}
	return nil
}

// Run makes the run and prints its result.
func (c *fanoutCommand) Run(ctx context.Context, std streams) error {
	config := loadtest.Fanout{
		Common: c.common(), Clients: c.Clients, Duration: c.Duration, Cuts: c.cuts(),
		Traffic: loadtest.Traffic{Channels: c.Channels, Payload: c.Payload, Data: c.data(), Events: c.Events, Window: c.Window, Rate: c.Rate},
	}
	return c.play(std, loadtest.Figures("fanout", c.Recover), &config.Common, &c.clientFlags, func() (*loadtest.Result, error) { return loadtest.RunFanout(ctx, config) })
}

type echoCommand struct {
	commonFlags
	clientFlags
	Clients  int           `default:"100" help:"Clients."`
	Messages int           `default:"100" help:"Messages of each client."`
	Window   int           `default:"1" help:"Messages of each client in flight at most."`
	Payload  int           `default:"128" help:"Bytes of a message."`
	Binary   bool          `help:"Send binary messages, not text."`
	Rate     float64       `help:"Messages per second of all clients, open loop: instead of --messages and --window."`
	Duration time.Duration `default:"10s" help:"How long to send, with --rate."`
}

// Run makes the run and prints its result.
func (c *echoCommand) Run(ctx context.Context, std streams) error {
	config := loadtest.Echo{
		Common: c.common(), Clients: c.Clients, Messages: c.Messages, Window: c.Window, Payload: c.Payload,
		Binary: c.Binary, Rate: c.Rate, Duration: c.Duration,
	}
	return c.play(std, loadtest.Figures("echo", false), &config.Common, &c.clientFlags, func() (*loadtest.Result, error) { return loadtest.RunEcho(ctx, config) })
}

type churnCommand struct {
	commonFlags
	clientFlags
	trafficFlags
	Clients  int           `default:"500" help:"Clients that stay."`
	Churners int           `default:"500" help:"Clients that come and go."`
	Churn    float64       `default:"100" help:"How many of them leave per second, and come back at once; every second one vanishes without a word."`
	Rate     float64       `default:"20" help:"Events per second."`
	Duration time.Duration `default:"10s" help:"How long."`
}

// Run makes the run and prints its result.
func (c *churnCommand) Run(ctx context.Context, std streams) error {
	config := loadtest.Churn{
		Common: c.common(), Clients: c.Clients, Churners: c.Churners, Churn: c.Churn, Duration: c.Duration,
		Traffic: loadtest.Traffic{Channels: c.Channels, Payload: c.Payload, Data: c.data(), Rate: c.Rate},
	}
	return c.play(std, loadtest.Figures("churn", false), &config.Common, &c.clientFlags, func() (*loadtest.Result, error) { return loadtest.RunChurn(ctx, config) })
}

type stormCommand struct {
	commonFlags
	clientFlags
	dataFlags
	Clients   int           `default:"5000" help:"Clients that are dropped at once and come back."`
	Witnesses int           `default:"100" help:"Clients that stay and measure."`
	Jitter    time.Duration `help:"Time over which the clients come back, each at a moment of its own; all at once without it. Whom the server turns away with 503 or 429 and Retry-After comes back when it says."`
	Rate      float64       `default:"5" help:"Events per second, to the witnesses' channel and to that of the others."`
	FleetRate float64       `help:"Events per second to the channel of those who come back, if not --rate."`
	Payload   int           `default:"128" help:"Bytes of an event's data."`
	Calm      time.Duration `default:"3s" help:"How long events flow before the storm, and after it."`
	NewTokens bool          `help:"Each client comes back with a token that it has not shown before, with --token-secret or --token-key. Both are made before the run."`
	Recover   bool          `help:"The clients come back with the position that they have, and must get what they have missed."`
	Missed    int           `placeholder:"EVENTS" help:"Events that are published to each channel of the clients that come back, while they are away; 100 with --recover. These channels get no others then until all are back, unless --fleet-rate is given. Without --recover nobody asks for them, for comparison."`
	Channels  int           `default:"1" help:"Channels of the clients that come back."`
}

// Validate is called by the parser.
func (c *stormCommand) Validate() error {
	switch {
	case !c.NewTokens:
	case c.ResumeTickets:
		return errors.New("--new-tokens and --resume-tickets exclude each other: clients come back with a new token, or with the ticket that they got for their first one")
	case !c.ManyFlags.Given():
		return errors.New("--new-tokens is for clients with tokens of their own: give --token-secret or --token-key")
	}
	return nil
}

// Run makes the run and prints its result.
func (c *stormCommand) Run(ctx context.Context, std streams) error {
	config := loadtest.Storm{
		Common: c.common(), Clients: c.Clients, Witnesses: c.Witnesses, FleetRate: c.FleetRate, Jitter: c.Jitter, Calm: c.Calm, NewTokens: c.NewTokens,
		Recover: c.Recover, Missed: c.Missed, FleetChannels: c.Channels,
		Traffic: loadtest.Traffic{Payload: c.Payload, Data: c.data(), Rate: c.Rate},
	}
	return c.play(std, loadtest.Figures("storm", c.Recover), &config.Common, &c.clientFlags, func() (*loadtest.Result, error) { return loadtest.RunStorm(ctx, config) })
}

type slowCommand struct {
	commonFlags
	clientFlags
	dataFlags
	Channels int           `default:"1" help:"Channels, over which clients and events are spread evenly."`
	Payload  int           `default:"4096" help:"Bytes of an event's data."`
	Clients  int           `default:"500" help:"Clients in all."`
	Share    float64       `default:"0.1" help:"Share of them that stops reading."`
	Stalls   int           `default:"1" help:"How often it does; between two stalls it reads for as long."`
	Rate     float64       `default:"50" help:"Events per second."`
	Duration time.Duration `default:"10s" help:"How long all read, and then how long the share does not."`
	Window   int           `help:"Instead of --rate and --duration: events in flight at most until all who read have them."`
	Events   int           `default:"1000" help:"With --window: events while all read, and as many while the share does not."`
	Keys     int           `help:"Give events so many keys in turn, for a server that conflates by key, and verify that the newest of each arrives."`

	ReceiveBuffer int `placeholder:"BYTES" help:"What the kernel may keep for a client that stalls; without it, as much as it likes, which grows with what the client has read. Below 64 KiB, TCP crawls on loopback."`
}

// Run makes the run and prints its result.
func (c *slowCommand) Run(ctx context.Context, std streams) error {
	config := loadtest.Slow{
		Common: c.common(), Clients: c.Clients, Share: c.Share, Stalls: c.Stalls, Duration: c.Duration, ReceiveBuffer: c.ReceiveBuffer,
		Traffic: loadtest.Traffic{Channels: c.Channels, Payload: c.Payload, Data: c.data(), Keys: c.Keys},
	}
	if config.Window = c.Window; c.Window == 0 {
		config.Rate = c.Rate
	} else {
		config.Events = c.Events
	}
	return c.play(std, loadtest.Figures("slow", false), &config.Common, &c.clientFlags, func() (*loadtest.Result, error) { return loadtest.RunSlow(ctx, config) })
}

type fairnessCommand struct {
	commonFlags
	clientFlags
	dataFlags
	Clients  int           `default:"9000" help:"Subscribers of the large channel."`
	Window   int           `default:"64" help:"Events in flight on the large channel, without a pause."`
	Watchers int           `default:"10" help:"Subscribers of the small channel, who are measured."`
	Rate     float64       `default:"50" help:"Events per second on the small channel."`
	Pings    float64       `default:"20" help:"Pings per second, which those subscribers send in turn."`
	Visitors float64       `default:"5" help:"Clients of the small channel that leave and come back, per second."`
	Payload  int           `default:"128" help:"Bytes of an event's data."`
	Duration time.Duration `default:"10s" help:"How long the small channel is alone, and then beside the flood."`

	Publishers int `default:"1" help:"Connections that flood. Each has a large channel of its own, over which the subscribers are spread."`
}

// Run makes the run and prints its result.
func (c *fairnessCommand) Run(ctx context.Context, std streams) error {
	config := loadtest.Fairness{
		Common: c.common(), Clients: c.Clients, Watchers: c.Watchers, Visitors: c.Visitors,
		Rate: c.Rate, Pings: c.Pings, Window: c.Window, Publishers: c.Publishers, Payload: c.Payload, Data: c.data(), Duration: c.Duration,
	}
	return c.play(std, loadtest.Figures("fairness", false), &config.Common, &c.clientFlags, func() (*loadtest.Result, error) { return loadtest.RunFairness(ctx, config) })
}

// usualIntake is the publish port of a gateway on this machine.
const usualIntake = "127.0.0.1:8082"

type intakeCommand struct {
	commonFlags
	Events      int `default:"5000000" help:"Events, over all connections."`
	Connections int `default:"1" help:"Connections, each with a channel of its own."`
	Payload     int `default:"128" help:"Bytes of an event's data."`
}

// Run makes the run and prints its result.
func (c *intakeCommand) Run(ctx context.Context, std streams) error {
	if c.Publish == "" {
		c.Publish = usualIntake
	}
	config := loadtest.Intake{Common: c.common(), Events: c.Events, Connections: c.Connections, Payload: c.Payload}
	return c.play(std, loadtest.Figures("intake", false), &config.Common, nil, func() (*loadtest.Result, error) { return loadtest.RunIntake(ctx, config) })
}

// memberCommand is how a run of several processes starts the others.
type memberCommand struct{}

// Run takes part in a run.
func (memberCommand) Run() error { return loadtest.ServeMember() }
