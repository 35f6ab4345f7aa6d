package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"fleetcast/cmd/internal/credential"
	"fleetcast/cmd/internal/options"
	"fleetcast/codec/command"
)

// explainCommand shows what holds for a channel.
type explainCommand struct {
	Channel string                `arg:"" help:"The channel."`
	Token   credential.TokenPlace `placeholder:"PLACE" help:"Print also what a client with this token may: file:PATH, env:NAME, or - for the standard input."`
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
	if c.Token == "" {
		return of.ExplainChannel(std.out, "", c.Channel)
	}
	text, err := c.read(std.in)
	if err != nil {
		return usageError{fmt.Errorf("--token: %w", err)}
	}
	ctx, cancel := context.WithTimeout(context.Background(), keySetPatience)
	defer cancel()
	return of.ExplainToken(ctx, std.out, c.Channel, text)
}

// keySetPatience is how long key sets may take that are fetched to verify one token.
const keySetPatience = 10 * time.Second

// read returns the token.
func (c *explainCommand) read(in io.Reader) (string, error) {
	if c.Token == credential.StandardInput {
		return credential.ReadToken(in)
	}
	return credential.Reference(c.Token).Read()
}
