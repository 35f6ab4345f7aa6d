package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"fleetcast/gateway"
)

// doctorCommand checks the limits of this machine, and of a running process,
// against a number of clients.
type doctorCommand struct {
	Clients    int  `default:"100000" placeholder:"N" help:"Clients that are to fit (${default})."`
	Publishers int  `default:"0" placeholder:"N" help:"Connections of publishers that are to fit (what serve keeps for them: an eighth of all, at most 10,000)."`
	Pid        int  `placeholder:"PID" help:"Check the limits of this running process instead of those that this shell hands on."`
	JSON       bool `name:"json" help:"Print JSON."`
}

// maxDoctorClients is more than a machine can hold, and keeps sums in range.
const maxDoctorClients = 1 << 30

// Validate is called by the parser.
func (c *doctorCommand) Validate() error {
	var bad outOfRange
	bad.number("--clients", c.Clients, 1)
	bad.number("--publishers", c.Publishers, 0)
	bad.number("--pid", c.Pid, 0)
	if max(c.Clients, c.Publishers) > maxDoctorClients {
		bad.add("--clients and --publishers must be at most %d", maxDoctorClients)
	}
	return errors.Join(bad...)
}

// Run prints what it finds and fails if a limit is too low.
func (c *doctorCommand) Run(_ context.Context, std streams) error {
	h := host{root: "/", pid: c.Pid}
	if err := h.checkProcess(); err != nil {
		return err
	}
	d := newDiagnosis(h, fleet{clients: c.Clients, publishers: c.Publishers})
	var err error
	if c.JSON {
		encoder := json.NewEncoder(std.out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(d)
	} else {
		file, ok := std.out.(*os.File)
		colour := ok && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == ""
		err = d.print(std.out, colour)
	}
	if err != nil {
		return fmt.Errorf("print the findings: %w", err)
	}
	if d.Status == statusBad {
		return errSilentFailure
	}
	return nil
}

// fleet is what the machine is to hold.
type fleet struct {
	clients, publishers int
}

// complete fills in the publishers that serve keeps room for.
func (f fleet) complete() fleet {
	if f.publishers == 0 {
		// The least number of connections whose clients' share is enough.
		const mostKept = 10000
		f.publishers = min(mostKept, (f.clients+6)/7)
	}
	return f
}

// connections is how many sockets the fleet needs.
func (f fleet) connections() uint64 { return uint64(f.clients) + uint64(f.publishers) }

// clientsOf is how many clients find room among so many connections.
func (f fleet) clientsOf(connections uint64, givenPublishers bool) uint64 {
	connections = min(connections, maxDoctorClients)
	publishers := uint64(f.publishers)
	if !givenPublishers {
		publishers = uint64(gateway.DefaultConfig(int(connections)).MaxPublishers)
	}
	return connections - min(connections, publishers)
}

// status is how a finding is to be taken.
type status string

const (
	statusOK      status = "ok"
	statusUnknown status = "unknown" // the file is missing, or not for us
	statusWarn    status = "warn"    // it works, with a drawback
	statusBad     status = "bad"     // the clients do not fit
)

// finding is what one check says.
type finding struct {
	Check  string `json:"check"`
	Status status `json:"status"`
	// Found is the value in words, Source where it stands.
	Found  string `json:"found"`
	Source string `json:"source"`
	// Allows says in words what the value allows; Clients is that in clients,
	// where clients are what it limits.
	Allows  string  `json:"allows,omitempty"`
	Clients *uint64 `json:"clients,omitempty"`
	// Want is what the value should be, Why the reason, Change the command or
	// setting that makes it so.
	Want   string `json:"want,omitempty"`
	Why    string `json:"why"`
	Change string `json:"change,omitempty"`
}

// diagnosis is all findings, and what they come to.
type diagnosis struct {
	Status     status    `json:"status"` // the worst, ok if only unknown
	Clients    int       `json:"clients"`
	Publishers int       `json:"publishers"`
	Findings   []finding `json:"findings"`
}

func newDiagnosis(h host, f fleet) *diagnosis {
	e := &examination{host: h, fleet: f.complete(), publishersGiven: f.publishers > 0}
	d := &diagnosis{Status: statusOK, Clients: e.clients, Publishers: e.publishers, Findings: e.all()}
	for _, finding := range d.Findings {
		switch {
		case finding.Status == statusBad:
			d.Status = statusBad
		case finding.Status == statusWarn && d.Status == statusOK:
			d.Status = statusWarn
		}
	}
	return d
}

// narrowest is the finding that allows the fewest clients, nil if none counts
// clients.
func (d *diagnosis) narrowest() (narrowest *finding) {
	for i := range d.Findings {
		f := &d.Findings[i]
		if f.Clients != nil && (narrowest == nil || *f.Clients < *narrowest.Clients) {
			narrowest = f
		}
	}
	return narrowest
}
