package expect

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"fleetcast/loadtest"
)

// Expectations are thresholds for the figures of a result. The zero value
// expects nothing.
type Expectations struct{ all []expectation }

type expectation struct {
	name     string
	measure  measure
	operator operator
	bound    quantity
}

// Miss is a threshold that was not met.
type Miss struct {
	Name     string // of the figure: p99, or stalled.p99
	Found    string // 7.2 ms; or that it was not measured
	Expected string // < 5 ms
}

// String says it for people: p99 is 7.2 ms, expected < 5 ms.
func (m Miss) String() string {
	return m.Name + " is " + m.Found + ", expected " + m.Expected
}

// Parse reads a list of thresholds; blank text is an empty one. own are the
// figures that the scenario will report, of which name and unit matter. Whether
// a run has a phase of some name is seen only when it is checked.
func Parse(text string, own ...loadtest.Figure) (Expectations, error) {
	if strings.TrimSpace(text) == "" {
		return Expectations{}, nil
	}
	var e Expectations
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		one, err := parsePart(part, own)
		if err != nil {
			return Expectations{}, fmt.Errorf("expectation %q: %w", part, err)
		}
		e.all = append(e.all, one)
	}
	return e, nil
}

func parsePart(part string, own []loadtest.Figure) (expectation, error) {
	at := strings.IndexAny(part, "<>=!")
	if at < 0 {
		return expectation{}, fmt.Errorf("no operator: want name, one of %s, bound", operatorList())
	}
	name := strings.TrimSpace(part[:at])
	m, err := find(name, own)
	if err != nil {
		return expectation{}, err
	}
	op, rest, ok := cutOperator(part[at:])
	if !ok {
		return expectation{}, fmt.Errorf("%q is not an operator: want one of %s", part[at:at+1], operatorList())
	}
	bound, err := m.kind.parse(strings.TrimSpace(rest))
	if err != nil {
		return expectation{}, err
	}
	return expectation{name, m, op, bound}, nil
}

// Has tells whether a figure has a threshold. For the kinds of faults (see
// [loadtest.Result.Faults]) it then takes the place of the demand that there
// are none.
func (e Expectations) Has(name string) bool {
	return slices.ContainsFunc(e.all, func(one expectation) bool { return one.name == name })
}

// Check returns the thresholds that a result does not meet, in the order in
// which they were given.
func (e Expectations) Check(r *loadtest.Result) (misses []Miss) {
	for _, one := range e.all {
		if found, ok := one.check(r); !ok {
			misses = append(misses, Miss{one.name, found, one.operator.text + " " + one.bound.text()})
		}
	}
	return misses
}

func (e expectation) check(r *loadtest.Result) (found string, ok bool) {
	value, err := e.measure.read(r)
	if err == nil && math.IsNaN(value) {
		err = errNotMeasured
	}
	if err != nil {
		return err.Error(), false
	}
	value = e.bound.snap(value)
	if e.operator.holds(value, e.bound.value) {
		return "", true
	}
	return e.bound.describe(value), false
}

// operator compares a figure with its bound.
type operator struct {
	text  string
	holds func(value, bound float64) bool
}

// operators are in an order in which none hides a longer one.
var operators = []operator{
	{"<=", func(value, bound float64) bool { return value <= bound }},
	{">=", func(value, bound float64) bool { return value >= bound }},
	{"==", func(value, bound float64) bool { return value == bound }},
	{"!=", func(value, bound float64) bool { return value != bound }},
	{"<", func(value, bound float64) bool { return value < bound }},
	{">", func(value, bound float64) bool { return value > bound }},
	{"=", func(value, bound float64) bool { return value == bound }},
}

func cutOperator(text string) (op operator, rest string, ok bool) {
	for _, op := range operators {
		if rest, ok := strings.CutPrefix(text, op.text); ok {
			return op, rest, true
		}
	}
	return operator{}, "", false
}

func operatorList() string {
	texts := make([]string, len(operators))
	for i, op := range operators {
		texts[i] = op.text
	}
	return strings.Join(texts, " ")
}

// quote joins names for people.
func quote(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = strconv.Quote(name)
	}
	return strings.Join(quoted, ", ")
}
