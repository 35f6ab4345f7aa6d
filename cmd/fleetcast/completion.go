package main

import (
	"fmt"

	"fleetcast/cmd/internal/options"
	"fleetcast/cmd/internal/shellhelp"
	"fleetcast/cmd/internal/stdio"
)

// completionCommand prints a completion.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Run prints it. The script does not call the program again.
func (c *completionCommand) Run(std streams) error {
	return shellhelp.WriteCompletion(std.out, c.Shell, newParser(new(commands)).Model)
}

type manCommand struct{}

// Run prints the manual page.
func (manCommand) Run(std streams) error {
	day, err := shellhelp.Day()
	if err != nil {
		return err
	}
	page := shellhelp.Manual{Version: version(), Day: day, Explain: options.Manual, Sections: []shellhelp.Section{
		{Title: "Environment", Text: "Each option of serve can be set by a variable: --max-clients by " + options.VariableOf("max-clients") +
			". " + options.VariableOf(options.ConfigFlag) + " names a configuration file.\n\nNOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS and LISTEN_FDNAMES are systemd's."},
		{Title: "Exit status", Text: fmt.Sprintf("0: all is well.\n\n%d: the command has failed.\n\n%d: the command line, the environment or the configuration file is wrong.\n\n"+
			"%d: of publish: the event may have been published or not.\n\n%d: nobody reads the output any more.", exitFailure, exitUsage, exitUnknown, stdio.ExitBrokenPipe)},
		{Title: "Signals", Text: "serve stops with SIGTERM or SIGINT in good order, and reads its configuration again with SIGHUP. " +
			"The third signal to stop, or the second SIGINT, ends the process at once."},
	}}
	return page.Write(std.out, newParser(new(commands)).Model)
}
