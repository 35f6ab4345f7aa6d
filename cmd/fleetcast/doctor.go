package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"fleetcast/cmd/internal/doctor"
	"fleetcast/cmd/internal/host"
)

// doctorCommand checks the limits of this machine, and of a running process,
// against a number of clients.
type doctorCommand struct {
	Clients    int    `default:"100000" placeholder:"N" help:"Clients that are to fit (${default})."`
	Publishers int    `default:"0" placeholder:"N" help:"Connections of publishers that are to fit (what serve keeps for them: an eighth of all, at most 10,000)."`
	Pid        int    `placeholder:"PID" help:"Check the limits of this running process instead of those that this shell hands on."`
	Config     string `placeholder:"FILE" help:"Also check this configuration file, and whether it opens a port to others by mistake."`
	JSON       bool   `name:"json" help:"Print JSON."`
}

// Validate is called by the parser.
func (c *doctorCommand) Validate() error {
	var bad outOfRange
	bad.number("--clients", c.Clients, 1)
	bad.number("--publishers", c.Publishers, 0)
	bad.number("--pid", c.Pid, 0)
	if max(c.Clients, c.Publishers) > doctor.MaxClients {
		bad.add("--clients and --publishers must be at most %d", doctor.MaxClients)
	}
	return errors.Join(bad...)
}

// Run prints what it finds and fails if a limit is too low.
func (c *doctorCommand) Run(_ context.Context, std streams) error {
	h := host.Host{Root: "/", Pid: c.Pid}
	if err := h.CheckProcess(); err != nil {
		return err
	}
	d := doctor.Diagnose(h, doctor.Fleet{Clients: c.Clients, Publishers: c.Publishers})
	if c.Config != "" {
		_, err := readOptions(arguments{"serve", "--config=" + c.Config})
		d.AddConfiguration(c.Config, err)
	}
	var err error
	if c.JSON {
		encoder := json.NewEncoder(std.out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(d)
	} else {
		file, ok := std.out.(*os.File)
		colour := ok && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == ""
		err = d.Print(std.out, colour)
	}
	if err != nil {
		return fmt.Errorf("print the findings: %w", err)
	}
	if d.Status == doctor.StatusBad {
		return errSilentFailure
	}
	return nil
}
