package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"fleetcast/loadtest/compare"
)

type compareCommand struct {
	Servers string `arg:"" type:"existingfile" placeholder:"SERVERS.yaml" help:"The list of servers: the first is compared with each of the others."`

	Subject  string   `placeholder:"NAME" help:"Compare this server with the others, instead of the first."`
	Peers    []string `placeholder:"NAME" help:"Compare with these only."`
	Settings []string `placeholder:"NAME" help:"Compare in these settings only: window-1, window-32 (events in flight), connect, echo-64k, echo-256k, echo-1m, echo-4m, echo-16m (size of a message), echo-binary-64k, echo-binary-1m, echo-binary-16m; window and echo stand for all of theirs."`

	Pairs       int `default:"5" help:"Pairs of runs, for each peer and setting."`
	Clients     int `default:"2000" help:"Subscribers that events go to."`
	Events      int `default:"500" help:"Events, one in flight at a time; ten times as many with 32 in flight."`
	Payload     int `default:"128" help:"Bytes of an event's data at the first server; frames at the others get the same size."`
	Connections int `default:"15000" help:"Clients that connect, for memory and CPU per connection."`
	ServerCPU   int `name:"server-cpu" default:"0" help:"Processor for the servers."`
	HarnessCPU  int `name:"harness-cpu" zero:"" default:"1" help:"Processor for the harness."`

	JSON  bool   `name:"json" help:"Print the comparison as JSON."`
	Write string `type:"existingfile" placeholder:"FILE" help:"Put the table into this Markdown file too, between <!-- compare:begin --> and <!-- compare:end -->."`
}

// Run makes the comparison and prints it.
func (c *compareCommand) Run(ctx context.Context, std streams) error {
	servers, err := compare.Load(c.Servers)
	if err != nil {
		return err
	}
	if c.Write != "" {
		// Better now than when all is measured.
		if err := compare.CheckDocument(c.Write); err != nil {
			return err
		}
	}
	harness, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the harness's own binary: %w", err)
	}
	report, err := compare.Run(ctx, compare.Config{
		Servers: servers, Subject: c.Subject, Peers: c.Peers, Settings: c.Settings, Harness: harness,
		Pairs: c.Pairs, Clients: c.Clients, Events: c.Events, Payload: c.Payload, Connections: c.Connections,
		ServerCPU: c.ServerCPU, HarnessCPU: c.HarnessCPU, Progress: std.err,
	})
	if err != nil {
		return err
	}
	if c.Pairs < compare.MinPairs {
		fmt.Fprintf(std.err, "fleetload: too few pairs to rely on: %d, want %d\n", c.Pairs, compare.MinPairs)
	}
	return c.put(std, report)
}

// put prints the report, and writes it where it was asked for.
func (c *compareCommand) put(std streams, report *compare.Report) error {
	if c.Write != "" {
		if err := report.WriteDocument(c.Write); err != nil {
			return err
		}
	}
	if c.JSON {
		encoder := json.NewEncoder(std.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	return report.WriteTable(std.out)
}
