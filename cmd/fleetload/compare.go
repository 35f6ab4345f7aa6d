package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"fleetcast/loadtest/compare"
)

type compareCommand struct {
	Gateway string `arg:"" type:"existingfile" help:"The gateway's binary."`
	Floor   string `arg:"" type:"existingfile" help:"The floor's binary, or its C++ source. It is run as FLOOR PORT [coalesce] and speaks the profile raw."`

	Pairs      int  `default:"5" help:"Pairs of runs."`
	Clients    int  `default:"2000" help:"Subscribers."`
	Events     int  `default:"500" help:"Events, one in flight at a time; ten times as many with 32 in flight."`
	Payload    int  `default:"128" help:"Bytes of an event's data at the gateway; the floor's frames get the same size."`
	ServerCPU  int  `name:"server-cpu" default:"0" help:"Processor for the servers."`
	HarnessCPU int  `name:"harness-cpu" default:"1" help:"Processor for the harness."`
	JSON       bool `name:"json" help:"Print the comparison as JSON."`
}

// Validate is called by the parser.
func (c *compareCommand) Validate() error {
	if c.Pairs < 1 || c.Clients < 1 || c.Events < 1 {
		return fmt.Errorf("pairs, clients and events must be at least 1")
	}
	return nil
}

// Run makes the comparison and prints it.
func (c *compareCommand) Run(ctx context.Context) error {
	harness, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the harness's own binary: %w", err)
	}
	report, err := compare.Run(ctx, compare.Config{
		Gateway: c.Gateway, Floor: c.Floor, Harness: harness,
		Pairs: c.Pairs, Clients: c.Clients, Events: c.Events, Payload: c.Payload,
		ServerCPU: c.ServerCPU, HarnessCPU: c.HarnessCPU, Progress: os.Stderr,
	})
	if err != nil {
		return err
	}
	if c.Pairs < compare.MinPairs {
		fmt.Fprintf(os.Stderr, "fleetload: %d pairs are too few to rely on: want %d\n", c.Pairs, compare.MinPairs)
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(report)
	}
	return report.WriteTable(os.Stdout)
}
