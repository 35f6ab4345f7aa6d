// Command fleetload is the load harness: it holds a fleet of WebSocket clients
// against a server, publishes events, verifies what every client receives and
// reports latency and cost. Its exit status is 0 if all is well, 1 if something
// that arrived or did not is wrong, 2 if the run could not be made, 80 if it was
// asked for wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"
)

// commands are the sub-commands with their flags.
type commands struct {
	Fanout  fanoutCommand  `cmd:"" help:"Connect clients, publish events to them, verify every delivery."`
	Compare compareCommand `cmd:"" help:"Measure a gateway beside the floor: the least that a broadcast server can do."`
}

// errFault ends a run whose faults have been printed.
var errFault = errors.New("the verification failed")

const (
	exitFault  = 1
	exitFailed = 2
)

// newParser reads the command line into c. Its commands are run with ctx.
func newParser(ctx context.Context, c *commands) *kong.Kong {
	return kong.Must(c,
		kong.Name("fleetload"),
		kong.Description("A load harness for WebSocket fleets that verifies what it measures."),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.ShortUsageOnError(),
	)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	parser := newParser(ctx, &commands{})
	command, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	err = command.Run()
	switch {
	case err == nil:
		return
	case errors.Is(err, errFault):
		os.Exit(exitFault)
	}
	fmt.Fprintf(os.Stderr, "fleetload: %v\n", err)
	os.Exit(exitFailed)
}
