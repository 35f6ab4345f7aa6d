package expect

import (
	"fmt"
	"strings"

	"fleetcast/loadtest"

	"github.com/agnivade/levenshtein"
)

// unknown is the error for a name that no figure has.
func unknown(name string, own []loadtest.Figure) error {
	if name == "" {
		return fmt.Errorf("no figure is named; %s", nameList(own))
	}
	best, near := len(name)+len("deliveries_per_second"), ""
	consider := func(candidate string) {
		if d := distance(name, candidate); d < best {
			best, near = d, candidate
		}
	}
	for _, candidate := range runNames(own) {
		consider(candidate)
	}
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		for _, f := range ofPhase {
			consider(name[:dot+1] + f.name)
		}
	}
	return fmt.Errorf("there is no figure %q; did you mean %q? %s", name, near, nameList(own))
}

func runNames(own []loadtest.Figure) (names []string) {
	for _, f := range ofRun {
		names = append(names, f.name)
	}
	for _, f := range own {
		names = append(names, f.Name)
	}
	return names
}

func nameList(own []loadtest.Figure) string {
	phase := make([]string, len(ofPhase))
	for i, f := range ofPhase {
		phase[i] = f.name
	}
	return "Figures: " + strings.Join(runNames(own), ", ") +
		"; after the name of a phase and a dot: " + strings.Join(phase, ", ")
}

// maxName bounds the work on a name that is none.
const maxName = 100

// distance is how far apart two names are; of names that are far too long, their
// beginnings.
func distance(a, b string) int {
	return levenshtein.ComputeDistance(a[:min(len(a), maxName)], b[:min(len(b), maxName)])
}
