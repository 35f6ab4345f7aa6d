package main

import (
	"fmt"

	"github.com/alecthomas/kong"

	"fleetcast/cmd/internal/build"
	"fleetcast/cmd/internal/shellhelp"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Run prints the completion.
func (c *completionCommand) Run(std streams, parser *kong.Kong) error {
	return shellhelp.WriteCompletion(std.out, c.Shell, parser.Model)
}

type manCommand struct{}

// Run prints the manual page.
func (manCommand) Run(std streams, parser *kong.Kong) error {
	day, err := shellhelp.Day()
	if err != nil {
		return err
	}
	page := shellhelp.Manual{Version: build.Version(), Day: day, Sections: []shellhelp.Section{
		{Title: "Exit status", Text: fmt.Sprintf("0: all is well.\n\n%d: something that arrived or did not is wrong, or a threshold was missed.\n\n"+
			"%d: the run could not be made, or was asked for wrongly.", exitFault, exitFailed)},
	}}
	return page.Write(std.out, parser.Model)
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(std streams) error {
	_, err := fmt.Fprintf(std.out, "fleetload %s\n", build.Version())
	return err
}
