// Command fleetcast is the gateway and its tools for the terminal.
//
//	fleetcast                 run the gateway with its defaults (the same as serve)
//	fleetcast publish         publish events
//	fleetcast subscribe       print the events of channels
//	fleetcast echo            run a WebSocket echo server
//	fleetcast version
//
// Each command is one file; flags are the fields of its structure.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands is the command line.
type commands struct {
	Serve     serveCommand     `cmd:"" default:"withargs" help:"Run the gateway (the default command)."`
	Publish   publishCommand   `cmd:"" help:"Publish events to a channel."`
	Subscribe subscribeCommand `cmd:"" help:"Print the events of channels, one JSON message a line."`
	Echo      echoCommand      `cmd:"" help:"Run a WebSocket echo server, for conformance suites and latency baselines."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
}

// streams are the process's standard streams.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signalContext()
	defer stop()
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// signalContext ends with the first SIGINT or SIGTERM. A second one ends the
// process at once.
func signalContext() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		fmt.Fprintln(os.Stderr, "fleetcast: second signal, stopping at once")
		os.Exit(exitFailure)
	}()
	return ctx, cancel
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, std streams) int {
	var cli commands
	exit := -1
	parser, err := kong.New(&cli,
		kong.Name("fleetcast"),
		kong.Description("A gateway that pushes events to very many WebSocket clients.\n\n"+
			"Without a command it runs the gateway with defaults that work: clients connect to ws://localhost:8080/ws, "+
			"events are published to localhost:8082."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
		kong.Vars{"shards": fmt.Sprint(runtime.GOMAXPROCS(0))},
	)
	if err != nil {
		panic(err) // the structures above are wrong
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 { // --help has printed
		return exit
	}
	if err != nil {
		fmt.Fprintf(std.err, "fleetcast: %v\n%s\n", err, usageHint(err))
		return exitUsage
	}
	if err := parsed.Run(); err != nil && !errors.Is(err, errSilentFailure) {
		fmt.Fprintf(std.err, "fleetcast %s: %v\n", parsed.Selected().Name, err)
		return exitFailure
	} else if err != nil {
		return exitFailure
	}
	return 0
}

// errSilentFailure makes the process fail without another word: the command
// has already said what went wrong.
var errSilentFailure = errors.New("failed")

func usageHint(err error) string {
	command := "fleetcast"
	var parse *kong.ParseError
	if errors.As(err, &parse) {
		if selected := parse.Context.Selected(); selected != nil && !strings.HasPrefix(err.Error(), "unexpected argument") {
			command += " " + selected.Name
		}
	}
	return "Run '" + command + " --help' for what it takes."
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(std streams) error {
	fmt.Fprintf(std.out, "fleetcast %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// version is the module's version as the go command recorded it, or the commit
// of a build from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return "development, commit " + setting.Value[:min(12, len(setting.Value))]
		}
	}
	return "development"
}
