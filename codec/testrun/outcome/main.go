// Command outcome reads what go test -json writes, and prints what go test prints without
// -json: a line for each package, and the output of tests that failed. It looks for secrets
// (testrun.FindSecret) in all that tests that passed, and what ran in their processes, have
// written. Its exit status is 1 if there is one; whether tests failed is the status of go
// test.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"fleetcast/codec/testrun"
)

func main() { os.Exit(run(os.Stdin, os.Stdout)) }

// event is one of those that go doc test2json describes.
type event struct {
	Action, Package, Test, Output string
}

// source is what has written an output: a test, or, with an empty Test, its package.
type source struct{ Package, Test string }

// outcome is what has been written so far. It belongs to one goroutine.
type outcome struct {
	out     io.Writer
	written map[source]string // by those who have not ended
	failed  map[string]string // by tests that failed, by their packages
	secrets int
}

func run(in io.Reader, out io.Writer) (status int) {
	o := &outcome{out, map[source]string{}, map[string]string{}, 0}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		var e event
		switch {
		case json.Unmarshal([]byte(line), &e) == nil && e.Action != "":
			o.take(e)
		default: // a word of go test itself
			fmt.Fprint(out, line)
		}
		if err != nil {
			break
		}
	}
	for _, s := range o.unfinished("") { // go test was killed
		fmt.Fprint(out, o.written[s])
	}
	if o.secrets > 0 {
		fmt.Fprintf(out, "%d outputs of tests that passed have a secret\n", o.secrets)
		return 1
	}
	return 0
}

// take takes the next event.
func (o *outcome) take(e event) {
	from := source{e.Package, e.Test}
	switch e.Action {
	case "build-output": // the compiler's
		fmt.Fprint(o.out, e.Output)
	case "output":
		o.written[from] += shown(e.Output)
	case "pass", "skip":
		o.passed(from)
	case "fail":
		if e.Test != "" {
			o.failed[e.Package] += o.written[from]
			delete(o.written, from)
			return
		}
		fmt.Fprint(o.out, o.failed[e.Package])
		for _, s := range o.unfinished(e.Package) { // the process has crashed in them
			fmt.Fprint(o.out, o.written[s])
			delete(o.written, s)
		}
	}
}

// passed looks at the output of a test or a package that is well. Of a package's it prints
// the line that go test has written.
func (o *outcome) passed(from source) {
	text := o.written[from]
	delete(o.written, from)
	if secret := testrun.FindSecret(text); secret != "" {
		o.secrets++
		fmt.Fprintf(o.out, "a secret, %.20s..., is in the output of %s %s:\n%s", secret, from.Package, from.Test, text)
		return
	}
	if from.Test != "" {
		return
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "ok ") || strings.HasPrefix(line, "? ") {
			fmt.Fprint(o.out, line)
		}
	}
}

// unfinished are those of a package who have not ended, the package last; of all packages
// for an empty name.
func (o *outcome) unfinished(name string) (all []source) {
	for s := range o.written {
		if name == "" || s.Package == name {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b source) int {
		if (a.Test == "") != (b.Test == "") {
			return len(b.Test) - len(a.Test)
		}
		return strings.Compare(a.Package+" "+a.Test, b.Package+" "+b.Test)
	})
	return all
}

// shown leaves out the lines that go test writes only because of -json.
func shown(line string) string {
	if strings.HasPrefix(line, "=== ") || line == "PASS\n" {
		return ""
	}
	return line
}
