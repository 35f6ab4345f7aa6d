package main

import (
	"fleetcast/cmd/internal/host"
	"fleetcast/cmd/internal/options"
)

// configCommand shows or checks the options of serve.
type configCommand struct {
	options.Options
	Check bool `help:"Print nothing but errors; the exit status is 0 if there are none, else 2."`

	Show    showCommand    `cmd:"" default:"1" help:"Print the effective configuration of serve as YAML, or check it; config alone does the same."`
	Explain explainCommand `cmd:"" help:"Print what holds for a channel, and which rule says so."`
}

// showCommand is what config does without a further word.
type showCommand struct{}

// Help is shown below the command's help.
func (*configCommand) Help() string {
	return "It takes what serve takes: the same flags, environment and file. Without a command of its own it is show. What show prints can be saved and given to --config."
}

// Run prints the options, or checks them further than the parser has.
func (showCommand) Run(c *configCommand, std streams) error {
	c.Warn(newLogger(std.err, c.LogFormat, nil))
	if !c.Check {
		return c.Print(std.out)
	}
	connections, err := host.RaiseDescriptorLimit(c.Loops())
	if err != nil {
		return usageError{err}
	}
	if _, err := c.GatewayConfig(connections); err != nil {
		return usageError{err}
	}
	return nil
}
