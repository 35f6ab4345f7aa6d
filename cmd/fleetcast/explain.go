package main

import (
	"fmt"

	"fleetcast/cmd/internal/options"
	"fleetcast/codec/command"
)

// explainCommand shows what holds for a channel.
type explainCommand struct {
	Channel string `arg:"" help:"The channel."`
}

// Help is shown below the command's help.
func (*explainCommand) Help() string {
	return "It takes what serve takes: the same flags, environment and file. For each key of the rules for channels it prints the value, " +
		"the rule or option that decides it, and where that was set."
}

// Run prints the table.
func (c *explainCommand) Run(of *configCommand, std streams) error {
	if of.Check {
		return usageError{fmt.Errorf("--check is not for explain; use fleetcast config --check")}
	}
	if err := command.CheckChannelWithin([]byte(c.Channel), int(of.MaxChannelName)); err != nil {
		return usageError{fmt.Errorf("channel %s: %w", options.Shown([]byte(c.Channel)), err)}
	}
	of.Warn(newLogger(std.err, of.LogFormat, nil))
	return of.ExplainChannel(std.out, c.Channel)
}
