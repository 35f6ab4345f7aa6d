package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"fleetcast/loadtest"
)

type fanoutCommand struct {
	URL     string `default:"ws://127.0.0.1:8080/ws" help:"Where clients connect."`
	Publish string `default:"127.0.0.1:8082" placeholder:"HOST:PORT" help:"The publish port (profile fleetcast)."`
	Profile string `default:"fleetcast" enum:"fleetcast,raw" help:"What the server speaks: ${enum}."`

	Clients  int           `default:"1000" help:"Subscribers."`
	Channels int           `default:"1" help:"Channels, over which clients and events are spread evenly."`
	Payload  int           `default:"128" help:"Bytes of an event's data."`
	Events   int           `default:"1000" help:"Events to publish."`
	Window   int           `default:"1" help:"Events in flight at most; one is out of flight when all subscribers have it."`
	Rate     float64       `help:"Events per second, open loop: instead of --events and --window."`
	Duration time.Duration `default:"10s" help:"How long to publish, with --rate."`

	PID        int           `name:"pid" help:"The server's process, to measure its cost."`
	Loops      int           `default:"1" help:"Event loops of the harness."`
	Connecting int           `default:"128" help:"Connections of a loop on their way at a time."`
	Settle     time.Duration `default:"1s" help:"Idle time before memory is read."`
	Stall      time.Duration `default:"5s" help:"Time without a delivery after which events are given up."`
	JSON       bool          `name:"json" help:"Print the result as JSON."`
}

// Validate is called by the parser. The library takes zeroes for defaults; who
// types one means something else.
func (c *fanoutCommand) Validate() error {
	if min(c.Clients, c.Channels, c.Payload, c.Events, c.Window, c.Loops, c.Connecting) < 1 {
		return errors.New("clients, channels, payload, events, window, loops and connecting must be at least 1")
	}
	return nil
}

// Run makes the run and prints its result.
func (c *fanoutCommand) Run(ctx context.Context) error {
	// A busy loop does not share its scheduler slot, and pinning the process may have left the
	// runtime a single one.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), c.Loops+2))

	result, err := loadtest.RunFanout(ctx, loadtest.Fanout{
		URL: c.URL, Publish: c.Publish, Profile: c.Profile,
		Clients: c.Clients, Channels: c.Channels, Payload: c.Payload,
		Events: c.Events, Window: c.Window, Rate: c.Rate, Duration: c.Duration,
		PID: c.PID, Loops: c.Loops, Connecting: c.Connecting, Settle: c.Settle, Stall: c.Stall,
	})
	if err != nil {
		return err
	}
	if err := c.print(result); err != nil {
		return err
	}
	if fault := result.Fault(); fault != nil {
		fmt.Fprintf(os.Stderr, "fleetload: verification failed:\n%v\n", fault)
		return errFault
	}
	return nil
}

func (c *fanoutCommand) print(result *loadtest.Result) error {
	if !c.JSON {
		return result.WriteTable(os.Stdout)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}
