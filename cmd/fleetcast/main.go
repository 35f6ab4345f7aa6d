// Command fleetcast is the gateway and its tools for the terminal.
//
// Each command is one file; flags are the fields of its structure. --help lists them.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"fleetcast/cmd/internal/build"
	"fleetcast/cmd/internal/host"
	"fleetcast/cmd/internal/options"
	"fleetcast/cmd/internal/stdio"
)

// The test compares what it writes.
//
//go:generate go test . -run TestPictures -update

// commands is the command line. A command that serves continues when its output is
// lost.
type commands struct {
	Serve      serveCommand      `cmd:"" serves:"" default:"withargs" help:"Run the gateway (the default command)."`
	Config     configCommand     `cmd:"" help:"Print the effective configuration of serve as YAML, check it, or explain what holds for a channel."`
	Publish    publishCommand    `cmd:"" help:"Publish events to a channel."`
	Subscribe  subscribeCommand  `cmd:"" help:"Print the events of channels, one JSON message a line."`
	History    historyCommand    `cmd:"" help:"Print earlier events of a channel, one JSON message a line."`
	Key        keyCommand        `cmd:"" help:"Make a key for a publisher or an operator."`
	Token      tokenCommand      `cmd:"" help:"Make a token for a client, or explain one."`
	Echo       echoCommand       `cmd:"" serves:"" help:"Run a WebSocket echo server, for conformance suites and latency baselines."`
	Health     healthCommand     `cmd:"" help:"Ask a gateway on this machine whether it is well; exits with 1 if not."`
	Doctor     doctorCommand     `cmd:"" help:"Check how many clients the limits of this machine allow, and say what to change."`
	Completion completionCommand `cmd:"" help:"Print the completion for a shell: bash, zsh or fish."`
	Man        manCommand        `cmd:"" help:"Print the manual page."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// streams are the process's standard streams. A command's own out is a
// stdio.Output.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
	// exitUnknown says that an event may have been published or not.
	exitUnknown = 3
)

func main() {
	stdio.KeepRunning()
	ctx, received := receiveSignals()
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}, received))
}

// arguments is the command line, without the program's name.
type arguments []string

// newParser returns the parser of the command line into cli.
func newParser(cli *commands, more ...kong.Option) *kong.Kong {
	parser, err := kong.New(cli, slices.Concat([]kong.Option{
		kong.Name("fleetcast"),
		kong.Description("A gateway that pushes events to very many WebSocket clients.\n\n" +
			"Without a command it runs the gateway with defaults that work: clients connect to ws://localhost:8080/ws, " +
			"events are published to localhost:8082."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{
			"shards": fmt.Sprint(host.Processors),
			// health asks where serve listens; an empty variable counts as unset.
			"admin": cmp.Or(os.Getenv(options.VariableOf("admin")), "localhost:8081"),
		},
	}, options.Parsing(), more)...)
	if err != nil {
		panic(err) // the structures above are wrong
	}
	return parser
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, std streams, received signals) int {
	out := stdio.NewOutput(std.out)
	std.out = out
	exit := -1
	parser := newParser(new(commands),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { exit = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std, arguments(args), received),
	)
	parsed, err := parser.Parse(args)
	if exit >= 0 || out.Err() != nil { // --help has printed, or could not
		return out.Exit(exit, exitFailure, "fleetcast", std.err)
	}
	if err != nil {
		fmt.Fprintf(std.err, "fleetcast: %v%s\n%s\n", err, suggestion(parser, err), usageHint(err))
		return exitUsage
	}
	if parsed.Selected().Name != "serve" {
		signal.Reset(syscall.SIGHUP) // it ends other commands
	}
	return conclude(parsed, parsed.Run(), out, std.err)
}

// conclude says why a command has failed, and returns the exit code.
func conclude(parsed *kong.Context, err error, out *stdio.Output, complaints io.Writer) int {
	name := "fleetcast " + spokenName(parsed.Selected())
	serves := parsed.Selected().Tag.Has("serves") // whoever reads its output or not
	if !serves && out.Err() != nil && (err == nil || errors.Is(err, out.Err())) {
		return out.Exit(0, exitFailure, name, complaints)
	}
	if err != nil && !errors.Is(err, errSilentFailure) {
		fmt.Fprintf(complaints, "%s: %v\n", name, err)
	}
	switch {
	case errors.As(err, new(usageError)):
		return exitUsage
	case errors.As(err, new(unknownOutcomeError)):
		return exitUnknown
	case err != nil:
		return exitFailure
	}
	return 0
}

// spokenName is the name of a command as a person types it. A default command is named
// by its parent.
func spokenName(command *kong.Node) string {
	above := command.Parent
	switch {
	case above == nil || above.Type == kong.ApplicationNode:
		return command.Name
	case above.DefaultCmd == command:
		return spokenName(above)
	}
	return spokenName(above) + " " + command.Name
}

// usageError is an error of whoever called the command.
type usageError struct{ error }

// Unwrap returns the error itself.
func (e usageError) Unwrap() error { return e.error }

// errSilentFailure makes the process fail without another word: the command
// has already said what went wrong.
var errSilentFailure = errors.New("failed")

// suggestion is the command that was likely meant by an argument that is none.
// The parser itself suggests flags; it takes this argument for one of serve, which
// has none.
func suggestion(parser *kong.Kong, err error) string {
	given, unexpected := strings.CutPrefix(err.Error(), "unexpected argument ")
	if !unexpected || strings.Contains(given, "did you mean") {
		return ""
	}
	if strings.EqualFold(given, "help") {
		return ", did you mean --help?"
	}
	var names []string
	for _, command := range parser.Model.Children {
		names = append(names, command.Name)
	}
	if near := options.Nearest(strings.ToLower(given), names); near != "" {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	return ""
}

func usageHint(err error) string {
	command := "fleetcast"
	var parse *kong.ParseError
	if errors.As(err, &parse) {
		if selected := parse.Context.Selected(); selected != nil && !strings.HasPrefix(err.Error(), "unexpected argument") {
			command += " " + spokenName(selected)
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

// version is the build's.
func version() string { return build.Version() }
