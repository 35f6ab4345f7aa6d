package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"time"

	"github.com/alecthomas/kong"

	"fleetcast/cmd/internal/credential"
	"fleetcast/cmd/internal/keyfile"
	"fleetcast/loadtest"
)

// commonFlags are those of every scenario.
type commonFlags struct {
	Publish string `placeholder:"HOST:PORT" help:"The publish port, or the http URL of the API, for profiles that publish through one. Without it, the host of --url: at its port for an API, else at the profile's (8082 of fleetcast)."`
	Profile string `default:"fleetcast" help:"What the server speaks: fleetcast, raw, centrifugo, nats, or a file that ends in .yaml (see docs/profiles.md)."`
	Via     string `enum:",ndjson,resp" default:"" placeholder:"ndjson|resp" help:"How the publish port is spoken to, if not as the profile says."`
	PID     []int  `name:"pid" aliases:"server-pid" default:"0" placeholder:"PID" help:"The server's processes, to measure their cost, with commas between them. Through a proxy name the server behind it. 0: those that listen on the port of --url, if on this machine; -1: none."`

	keyfile.Flag

	Settle time.Duration `zero:"" default:"1s" help:"Idle time before memory is read."`
	Stall  time.Duration `default:"5s" help:"Time without a delivery after which events are given up."`
	JSON   bool          `name:"json" help:"Print the result as JSON."`
	Expect string        `placeholder:"p99<5ms,lost=0" help:"Thresholds, separated by commas: the exit status is 1 if one is missed. See docs/loadtesting.md for the names."`
	Report string        `placeholder:"FILE.html" help:"Write a report with plots."`
	Quiet  bool          `short:"q" help:"Show no progress."`
}

// clientFlags are those of scenarios with clients.
type clientFlags struct {
	URL        string   `name:"url" default:"ws://127.0.0.1:8080/ws" help:"Where clients connect. Without a path, the profile's."`
	Source     []string `placeholder:"ADDR" help:"Addresses to connect from, in turn: one has some 28,000 ports to one server. On loopback, as many as it takes (127.0.0.1, 127.0.0.2 ...)."`
	Processes  int      `default:"1" help:"Processes of the harness: one has as many clients as it may open descriptors."`
	Loops      int      `default:"1" help:"Event loops of each process."`
	Connecting int      `default:"128" help:"Connections of a loop on their way at a time."`
	NoYield    bool     `help:"Let all loops use the processor alike. Without it, in storm and fairness, those that only make work yield to the one that measures; on a machine that other programs keep busy they hardly run then."`
	Deflate    float64  `placeholder:"SHARE" help:"Share of the clients, 0 to 1, that offer compression (permessage-deflate), as browsers do."`

	credential.TokenFlags
	credential.ManyFlags
	ResumeTickets bool `help:"Clients that come back show the ticket that the gateway has given them instead of their token. fleetcast gives tickets for tokens that take long to verify."`
}

// dataFlags say what events hold.
type dataFlags struct {
	Data string `enum:"random,records" default:"random" help:"What events' data holds: random letters and digits, or records, which compress as a service's JSON does."`
}

// trafficFlags say which events are published.
type trafficFlags struct {
	Channels int `default:"1" help:"Channels, over which clients and events are spread evenly."`
	Payload  int `default:"128" help:"Bytes of an event's data."`
	dataFlags
}

func (f *dataFlags) data() loadtest.Data { return loadtest.Data(f.Data) }

func (f *commonFlags) common() loadtest.Common {
	return loadtest.Common{
		Publish: f.Publish, Profile: f.Profile, Via: f.Via, PIDs: f.PID,
		Settle: max(f.Settle, 1), Stall: f.Stall, Command: shownArguments(os.Args), // a zero would mean the default
	}
}

// apply adds what the flags say of clients.
func (f *clientFlags) apply(c *loadtest.Common) error {
	c.URL, c.Processes, c.Loops, c.Connecting = f.URL, f.Processes, f.Loops, f.Connecting
	c.Deflate, c.NoYield = f.Deflate, f.NoYield
	for _, text := range f.Source {
		source, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("--source: %w", err)
		}
		c.Sources = append(c.Sources, source)
	}
	if err := f.applyTokens(c); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the harness's own binary: %w", err)
	}
	c.Member = []string{self, "member"}
	return nil
}

// AfterApply is called by the parser. It refuses a number that is not above 0 where the
// default is, as of all flags without the tag zero: the library would take a zero for its
// default, and who types one means something else.
func (*commands) AfterApply(ctx *kong.Context) error {
	var errs []error
	for _, f := range ctx.Selected().Flags {
		switch value := f.Target; {
		case f.Default == "" || f.Default == "0" || f.Tag.Has("zero"):
		case value.Kind() == reflect.Int && value.Int() < 1:
			errs = append(errs, fmt.Errorf("%s must be at least 1", f.Name))
		case value.CanInt() && value.Int() <= 0, value.CanFloat() && !(value.Float() > 0):
			errs = append(errs, fmt.Errorf("%s must be above 0", f.Name))
		}
	}
	return errors.Join(errs...)
}
