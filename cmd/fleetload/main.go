// Command fleetload is the load harness: it holds a fleet of WebSocket clients
// against a server, publishes events, verifies what every client receives and
// reports latency and cost. --help lists its commands.
//
// Its exit status is 0 if all is well, 1 if something that arrived or did not is
// wrong or a threshold was missed, 2 if the run could not be made or was asked
// for wrongly, 3 if it was cut short and nothing was wrong until then.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"fleetcast/cmd/internal/stdio"
)

// commands are the sub-commands with their flags.
type commands struct {
	Connect    connectCommand    `cmd:"" help:"Connect clients, hold them, let them leave."`
	Fanout     fanoutCommand     `cmd:"" help:"Connect clients, publish events to them, verify every delivery."`
	Echo       echoCommand       `cmd:"" help:"Clients send messages that the server sends back."`
	Churn      churnCommand      `cmd:"" help:"Clients come and go all the time while events flow."`
	Storm      stormCommand      `cmd:"" help:"All clients are dropped at once, and come back."`
	Slow       slowCommand       `cmd:"" help:"A share of the clients stops reading while the others are measured."`
	Fairness   fairnessCommand   `cmd:"" help:"A small channel is measured while a large one is flooded."`
	Intake     intakeCommand     `cmd:"" help:"Publish events that nobody has subscribed to, as fast as the port takes them."`
	Compare    compareCommand    `cmd:"" help:"Measure a server beside others, in alternation."`
	Completion completionCommand `cmd:"" help:"Print the completion for a shell: bash, zsh or fish."`
	Man        manCommand        `cmd:"" help:"Print the manual page."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
	Member     memberCommand     `cmd:"" hidden:"" help:"Take part in a run of several processes."`
}

// streams are where results and complaints go.
type streams struct{ out, err io.Writer }

// Both end a run whose result has been printed.
var (
	errFault = errors.New("the verification failed")
	errCut   = errors.New("the run was cut short")
)

const (
	exitFault  = 1
	exitFailed = 2
	exitCut    = 3
)

func main() {
	stdio.KeepRunning()
	os.Exit(run(untilSignal(), os.Args[1:], streams{os.Stdout, os.Stderr}))
}

// sameSignal is how soon after the first signal another one is the same wish: timeout(1)
// and shells send it to the process and to its group.
const sameSignal = 500 * time.Millisecond

// untilSignal returns a context that the first SIGINT or SIGTERM ends; its cause
// names the signal. A later one ends the process at once.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	go func() {
		caught := <-signals
		time.AfterFunc(sameSignal, func() { signal.Stop(signals) })
		cancel(fmt.Errorf("interrupted by %s", unix.SignalName(caught.(unix.Signal))))
	}()
	return ctx
}

// run executes one command line and returns the exit status.
func run(ctx context.Context, arguments []string, std streams) int {
	out := stdio.NewOutput(std.out)
	std.out = out
	exit := -1
	parser := kong.Must(new(commands),
		kong.Name("fleetload"),
		kong.Description("A load harness for WebSocket fleets that verifies what it measures."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
	)
	command, err := parser.Parse(arguments)
	if exit >= 0 || out.Err() != nil { // --help has printed, or could not
		return out.Exit(exit, exitFailed, "fleetload", std.err)
	}
	if err != nil {
		fmt.Fprintf(std.err, "fleetload: %v\nRun 'fleetload --help' for what it takes.\n", err)
		return exitFailed
	}
	err = command.Run()
	if out.Err() != nil {
		return out.Exit(0, exitFailed, "fleetload", std.err)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFault):
		return exitFault
	case errors.Is(err, errCut):
		return exitCut
	case ctx.Err() != nil:
		fmt.Fprintln(std.err, "fleetload: interrupted: the run has no result")
		return exitFailed
	default:
		fmt.Fprintf(std.err, "fleetload: %v\n", err)
		return exitFailed
	}
}
