package compare

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Report is the outcome of a comparison. Its JSON form is what scripts rely on.
type Report struct {
	Subject     string   `json:"subject"`
	Pairs       int      `json:"pairs"`
	Clients     int      `json:"clients"`     // that events went to
	Connections int      `json:"connections"` // of the setting connect
	Payload     int      `json:"payload"`     // bytes of an event's data at the subject
	Compressed  bool     `json:"compressed"`  // a server compresses: events have the same data, not the same frames
	Machine     Machine  `json:"machine"`
	Rows        []Row    `json:"rows"`
	Notes       []string `json:"notes"` // reasons to doubt a figure
}

// Machine is where a comparison was made.
type Machine struct {
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// Row is one figure of the subject beside that of a peer.
type Row struct {
	Setting string   `json:"setting"`
	Figure  string   `json:"figure"`
	Title   string   `json:"title"`
	Unit    string   `json:"unit"`
	Peer    string   `json:"peer"`
	Ours    *float64 `json:"subject_median"` // null: not measured
	Theirs  *float64 `json:"peer_median"`
	Ratio   *Spread  `json:"ratio"`        // subject by peer, pair by pair; null unless every pair has one
	Faults  int      `json:"faulty_pairs"` // in which the verification of a run failed
}

// Spread is the median of some values and how far they lie apart.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func newReport(c *Config, peers []*Server) *Report {
	subject := c.Servers.subject()
	return &Report{
		Compressed: subject.Deflate > 0 || slices.ContainsFunc(peers, func(s *Server) bool { return s.Deflate > 0 }),
		Subject:    subject.Name, Pairs: c.Pairs, Clients: c.Clients, Connections: c.Connections, Payload: c.Payload,
		Machine: thisMachine(), Rows: []Row{}, Notes: []string{},
	}
}

func thisMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Kernel: "unknown", Go: runtime.Version()}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	}
	return m
}

// add adds the rows of a setting beside a peer.
func (r *Report) add(s *setting, peer string, pairs []pair) {
	faults := 0
	for _, p := range pairs {
		if p.subject.fault != "" || p.peer.fault != "" {
			faults++
		}
	}
	for _, f := range s.figures {
		if f.name == framePayload && !compressed(pairs) {
			continue
		}
		row := Row{Setting: s.name, Figure: f.name, Title: f.title, Unit: f.unit, Peer: peer, Faults: faults}
		var ours, theirs, ratios []float64
		for _, p := range pairs {
			a, b := f.of(p.subject), f.of(p.peer)
			if a != nil {
				ours = append(ours, *a)
			}
			if b != nil {
				theirs = append(theirs, *b)
			}
			if a != nil && b != nil && *b > 0 {
				ratios = append(ratios, *a / *b)
			}
		}
		row.Ours, row.Theirs = median(ours), median(theirs)
		if len(ratios) == len(pairs) {
			row.Ratio = spread(ratios)
		}
		if row.Ours != nil || row.Theirs != nil {
			r.Rows = append(r.Rows, row)
		}
	}
	r.note(s, peer, pairs)
}

// compressed tells whether a server of the pairs compresses.
func compressed(pairs []pair) bool {
	return slices.ContainsFunc(pairs, func(p pair) bool { return p.subject.Detail.Compressing+p.peer.Detail.Compressing > 0 })
}

// frameTolerance is how many bytes a peer's frames may differ from the subject's.
const frameTolerance = 2

// note notes what makes the rows of a setting doubtful.
func (r *Report) note(s *setting, peer string, pairs []pair) {
	var ours, theirs []*outcome
	unequal := pair{}
	for _, p := range pairs {
		ours, theirs = append(ours, p.subject), append(theirs, p.peer)
		if s.events && !compressed([]pair{p}) && math.Abs(p.subject.Detail.FramePayloadBytes-p.peer.Detail.FramePayloadBytes) > frameTolerance {
			unequal = p
		}
	}
	r.noteRuns(fmt.Sprintf("%s, %s beside %s", s.name, r.Subject, peer), ours)
	r.noteRuns(fmt.Sprintf("%s, %s", s.name, peer), theirs)
	if unequal.peer != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("%s, %s: frames of %.0f bytes beside frames of %.0f",
			s.name, peer, unequal.subject.Detail.FramePayloadBytes, unequal.peer.Detail.FramePayloadBytes))
	}
}

// noteRuns notes faults and warnings of one server's runs; runs that say alike
// are told once, in the words of the first.
func (r *Report) noteRuns(of string, runs []*outcome) {
	tell := func(what string, texts []string) {
		if len(texts) > 0 {
			line := strings.Join(strings.Fields(texts[0]), " ")
			r.Notes = append(r.Notes, fmt.Sprintf("%s: %s in %d of %d runs: %s", of, what, len(texts), len(runs), line))
		}
	}
	var faults, warnings []string
	for _, o := range runs {
		if o.fault != "" {
			faults = append(faults, o.fault)
		}
		if len(o.Detail.Warnings) > 0 {
			warnings = append(warnings, o.Detail.Warnings[0])
		}
	}
	tell("faults", faults)
	tell("a warning", warnings)
}

// sort brings the rows of one figure together, in the order of settings and
// figures, and leaves the peers in theirs.
func (r *Report) sort() {
	order := make(map[[2]string]int)
	for i := range allSettings {
		for _, f := range allSettings[i].figures {
			order[[2]string{allSettings[i].name, f.name}] = len(order)
		}
	}
	slices.SortStableFunc(r.Rows, func(a, b Row) int {
		return cmp.Compare(order[[2]string{a.Setting, a.Figure}], order[[2]string{b.Setting, b.Figure}])
	})
}

// spread returns nil for no values.
func spread(values []float64) *Spread {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return &Spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

func median(values []float64) *float64 {
	if s := spread(values); s != nil {
		return &s.Median
	}
	return nil
}
