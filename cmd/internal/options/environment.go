package options

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/alecthomas/kong"

	"fleetcast/cmd/internal/keyfile"
)

// environmentPrefix begins the names of our environment variables.
const environmentPrefix = "FLEETCAST_"

// VariableOf is the environment variable of an option.
func VariableOf(option string) string {
	return environmentPrefix + strings.ToUpper(strings.ReplaceAll(option, "-", "_"))
}

// readEnvironment takes the values of options from the environment. An empty
// variable counts as unset.
func readEnvironment(flags []*kong.Flag) (map[string]given, []error) {
	values := map[string]given{}
	var errs []error
	for _, f := range flags {
		name := VariableOf(f.Name)
		text := strings.TrimSpace(os.Getenv(name))
		if text == "" {
			continue
		}
		g := given{source: source{variable: name}, texts: []string{text}}
		if f.IsSlice() {
			g.texts = elements(f, text)
		}
		for _, t := range g.texts {
			if err := checkText(f, t); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
		values[f.Name] = g
	}
	return values, errs
}

// elements are the elements of a list in a variable. Blanks separate them, or line ends
// if an element holds blanks.
func elements(f *kong.Flag, text string) (list []string) {
	if !byLine(f) {
		return strings.Fields(text)
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// variable is an environment variable that is no option.
type variable struct {
	name string
	near string // the variable that was likely meant; empty if none is near
}

// testPrefix is the beginning of the variables by which tests drive the command.
const testPrefix = environmentPrefix + "TEST_"

// strangeVariables are those that look like options and are none.
func strangeVariables(flags []*kong.Flag) []variable {
	// Those of keys are for other commands than serve.
	known := []string{VariableOf(ConfigFlag), keyfile.Variable, keyfile.FileVariable}
	for _, f := range flags {
		known = append(known, VariableOf(f.Name))
	}
	var strange []variable
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, environmentPrefix) || strings.HasPrefix(name, testPrefix) ||
			slices.Contains(known, name) || fromKubernetes(name, value) {
			continue
		}
		strange = append(strange, variable{name, nearestVariable(name, known)})
	}
	slices.SortFunc(strange, func(a, b variable) int { return strings.Compare(a.name, b.name) })
	return strange
}

// nearestVariable is nearest, without regard to the prefix that all have.
func nearestVariable(name string, known []string) string {
	var bare []string
	for _, k := range known {
		bare = append(bare, strings.TrimPrefix(k, environmentPrefix))
	}
	if near := Nearest(strings.TrimPrefix(name, environmentPrefix), bare); near != "" {
		return environmentPrefix + near
	}
	return ""
}

// Kubernetes gives each container variables about each service of its
// namespace: fleetcast, perhaps fleetcast-publish too.
var (
	serviceVariable = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	serviceURL      = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

func fromKubernetes(name, value string) bool {
	return serviceVariable.MatchString(name) || strings.HasSuffix(name, "_PORT") && serviceURL.MatchString(value)
}

// Nearest returns the one of names that was likely meant by name, or "".
func Nearest(name string, names []string) string {
	const longest = 64 // of a name worth comparing
	if len(name) > longest {
		return ""
	}
	best, least := "", len(name)/2+1
	for _, n := range names {
		if d := levenshtein.ComputeDistance(name, n); d < least {
			best, least = n, d
		}
	}
	return best
}
