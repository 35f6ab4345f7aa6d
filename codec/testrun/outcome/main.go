// Command outcome reads what go test -json writes, and prints a line for each package, and
// the output of tests that failed. It looks for secrets (testrun.FindSecret) in what tests
// and packages that passed have written. Its exit status is 1 if there is one; whether tests
// failed is the status of go test.
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
	written map[source]*strings.Builder // by those who have not ended
	failed  map[string]*strings.Builder // what is printed if a package fails, by its name
	secrets int
}

func run(in io.Reader, out io.Writer) (status int) {
	o := &outcome{out, map[source]*strings.Builder{}, map[string]*strings.Builder{}, 0}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		var e event
		switch {
		case json.Unmarshal([]byte(line), &e) == nil && e.Action != "":
			o.add(e)
		default: // a word of go test itself
			fmt.Fprint(out, line)
		}
		if err != nil {
			break
		}
	}
	for _, s := range o.unfinished("") { // go test was killed
		fmt.Fprint(out, o.take(s))
	}
	if o.secrets > 0 {
		fmt.Fprintf(out, "%d outputs of tests that passed have a secret\n", o.secrets)
		return 1
	}
	return 0
}

// add takes the next event.
func (o *outcome) add(e event) {
	from := source{e.Package, e.Test}
	switch e.Action {
	case "build-output": // the compiler's
		fmt.Fprint(o.out, e.Output)
	case "output":
		builder(o.written, from).WriteString(shown(e.Output))
	case "pass", "skip":
		o.passed(from)
	case "fail":
		if e.Test != "" {
			builder(o.failed, e.Package).WriteString(o.take(from))
			return
		}
		fmt.Fprint(o.out, builder(o.failed, e.Package))
		for _, s := range o.unfinished(e.Package) { // the process has crashed in them
			fmt.Fprint(o.out, o.take(s))
		}
		delete(o.failed, e.Package)
	}
}

func builder[K comparable](of map[K]*strings.Builder, key K) *strings.Builder {
	b := of[key]
	if b == nil {
		b = new(strings.Builder)
		of[key] = b
	}
	return b
}

// take returns what was written by one who has ended.
func (o *outcome) take(from source) string {
	text := builder(o.written, from).String()
	delete(o.written, from)
	return text
}

// passed looks at the output of a test or a package that is well. Of a package's it prints
// the line that go test has written.
func (o *outcome) passed(from source) {
	text := o.take(from)
	if secret := testrun.FindSecret(text); secret != "" {
		o.secrets++
		fmt.Fprintf(o.out, "a secret, %.20s..., is in the output of %s %s:\n%s", secret, from.Package, from.Test, text)
		return
	}
	if from.Test != "" {
		if rest := behindEnd(text); rest != "" {
			builder(o.failed, from.Package).WriteString(rest)
		}
		return
	}
	delete(o.failed, from.Package)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "ok ") || strings.HasPrefix(line, "? ") {
			fmt.Fprint(o.out, line)
		}
	}
}

// behindEnd is what stands behind the line in which go test says how a test has ended. It is
// of others: if the process crashes, go test takes its last words for those of that test.
func behindEnd(text string) string {
	for line := range strings.Lines(text) {
		text = text[len(line):]
		if end := strings.TrimLeft(line, " "); strings.HasPrefix(end, "--- PASS: ") || strings.HasPrefix(end, "--- SKIP: ") {
			return text
		}
	}
	return ""
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
