package doctor

import (
	"strings"

	"fleetcast/cmd/internal/host"
	"fleetcast/gateway"
)

// TestDiagnosis compares what this writes.
//
//go:generate go test . -run TestDiagnosis -update-doctor

// Fleet is what the machine is to hold.
type Fleet struct {
	Clients, Publishers int
}

// complete fills in the publishers that serve keeps room for.
func (f Fleet) complete() Fleet {
	if f.Publishers == 0 {
		// The least number of connections of which the clients' share is enough.
		const mostKept = 10000
		f.Publishers = min(mostKept, (f.Clients+6)/7)
	}
	return f
}

// connections is how many sockets the fleet needs.
func (f Fleet) connections() uint64 { return uint64(f.Clients) + uint64(f.Publishers) }

// clientsOf is how many clients find room among so many connections.
func (f Fleet) clientsOf(connections uint64, givenPublishers bool) uint64 {
	connections = min(connections, MaxClients)
	publishers := uint64(f.Publishers)
	if !givenPublishers {
		publishers = uint64(gateway.DefaultConfig(int(connections)).MaxPublishers)
	}
	return connections - min(connections, publishers)
}

// status is how good or bad a finding is.
type status string

const (
	statusOK      status = "ok"
	statusUnknown status = "unknown" // the file is missing, or not for us
	statusWarn    status = "warn"    // it works, with a drawback
	StatusBad     status = "bad"     // the clients do not fit
)

// finding is what one check says.
type finding struct {
	Check  string `json:"check"`
	Status status `json:"status"`
	// Found is the value in words, Source where it stands.
	Found  string `json:"found"`
	Source string `json:"source"`
	// Allows says in words what the value allows. Clients is that as a number of
	// clients, if it limits clients.
	Allows  string  `json:"allows,omitempty"`
	Clients *uint64 `json:"clients,omitempty"`
	// Want is what the value should be, Why the reason, Change the command or
	// setting that makes it so.
	Want   string `json:"want,omitempty"`
	Why    string `json:"why"`
	Change string `json:"change,omitempty"`
}

// Diagnosis is all findings, and the verdict that follows.
type Diagnosis struct {
	Status     status    `json:"status"` // the worst, ok if only unknown
	Clients    int       `json:"clients"`
	Publishers int       `json:"publishers"`
	Findings   []finding `json:"findings"`
}

// Diagnose examines a host for a fleet.
func Diagnose(h host.Host, f Fleet) *Diagnosis {
	e := &examination{Host: h, Fleet: f.complete(), publishersGiven: f.Publishers > 0}
	d := &Diagnosis{Status: statusOK, Clients: e.Clients, Publishers: e.Publishers, Findings: e.all()}
	for _, f := range d.Findings {
		d.count(f)
	}
	return d
}

// count has the verdict follow from a finding.
func (d *Diagnosis) count(f finding) {
	switch {
	case f.Status == StatusBad:
		d.Status = StatusBad
	case f.Status == statusWarn && d.Status == statusOK:
		d.Status = statusWarn
	}
}

// AddConfiguration adds what is wrong with a configuration file, nil if nothing is. A file
// that opens a port to others by mistake is wrong.
func (d *Diagnosis) AddConfiguration(path string, problem error) {
	f := finding{
		Check: "configuration", Status: statusOK, Source: path, Found: "serve starts with it",
		Want: "no mistake, and a word about who may use ports that other machines can reach",
		Why:  "serve does not start with a mistake, with a publish or admin port that is open to others without keys, or with such a client port where nothing says who clients are or which channels are for anyone",
	}
	if problem != nil {
		f.Status, f.Found = StatusBad, firstLine(problem.Error())
		f.Change = "what fleetcast config --check --config " + path + " says"
	}
	d.Findings = append(d.Findings, f)
	d.count(f)
}

// firstLine is the first line of a text, cut short.
func firstLine(text string) string {
	const most = 200
	line, _, _ := strings.Cut(text, "\n")
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}

// narrowest is the finding that allows the fewest clients, nil if none counts
// clients.
func (d *Diagnosis) narrowest() (narrowest *finding) {
	for i := range d.Findings {
		f := &d.Findings[i]
		if f.Clients != nil && (narrowest == nil || *f.Clients < *narrowest.Clients) {
			narrowest = f
		}
	}
	return narrowest
}

// MaxClients is more than a machine can hold, and keeps sums in range.
const MaxClients = 1 << 30
