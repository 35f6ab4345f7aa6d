package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"

	"fleetcast/loadtest"
	"fleetcast/loadtest/expect"
	"fleetcast/loadtest/progress"
	"fleetcast/loadtest/report"

	"github.com/dustin/go-humanize/english"
	"golang.org/x/term"
)

// play makes a run of a scenario and prints what it found. figures are the scenario's own. common
// is the part of its configuration to which the flags of clients go, if it has clients.
func (f *commonFlags) play(std streams, figures []loadtest.Figure, common *loadtest.Common, clients *clientFlags, run func() (*loadtest.Result, error)) error {
	if clients != nil {
		if err := clients.apply(common); err != nil {
			return err
		}
	}
	key, err := f.Source()
	if err == nil && key != nil {
		common.Key, err = key()
	}
	if err != nil {
		return err
	}
	f.warn(std, clients, key != nil)
	expectations, err := expect.Parse(f.Expect, figures...)
	if err != nil {
		return fmt.Errorf("--expect: %w", err)
	}
	page, err := f.openReport()
	if err != nil {
		return err
	}
	// A busy loop does not share its slot in the runtime's scheduler, and pinning the
	// process may have left a single one.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), max(common.Loops, 1)+3))
	done := f.showProgress(common)
	result, err := run()
	done()
	if err != nil {
		return err
	}
	for _, miss := range expectations.Check(result) {
		result.Missed = append(result.Missed, miss.String())
	}
	printed := f.print(std, result)
	if page != nil { // also when the output is lost
		if err := writeReport(std, page, result); err != nil {
			return errors.Join(printed, err)
		}
	}
	if printed != nil {
		return printed
	}
	return verdict(std, result, expectations)
}

// showProgress shows samples during the run. A terminal always gets them. Plain lines
// are left out if a machine reads the result.
func (f *commonFlags) showProgress(config *loadtest.Common) (done func()) {
	if f.Quiet || f.JSON && !term.IsTerminal(int(os.Stderr.Fd())) {
		return func() {}
	}
	p := progress.New(os.Stderr)
	config.Observe = p.Sample
	return p.Done
}

func (f *commonFlags) print(std streams, result *loadtest.Result) error {
	if !f.JSON {
		return result.WriteTable(std.out)
	}
	encoder := json.NewEncoder(std.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}

// openReport opens the report's file, nil if none is wanted: better now than when
// all is measured.
func (f *commonFlags) openReport() (*os.File, error) {
	if f.Report == "" {
		return nil, nil
	}
	file, err := os.Create(f.Report)
	if err != nil {
		return nil, fmt.Errorf("writing the report: %w", err)
	}
	return file, nil
}

func writeReport(std streams, file *os.File, result *loadtest.Result) error {
	if err := errors.Join(report.Write(file, result), file.Close()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	fmt.Fprintf(std.err, "fleetload: the report is in %s\n", file.Name())
	return nil
}

// verdict says what is wrong. If a fault has a threshold, only the threshold decides.
func verdict(std streams, result *loadtest.Result, expectations expect.Expectations) error {
	var wrong []string
	for _, f := range result.Faults() {
		if !expectations.Has(f.Name) {
			wrong = append(wrong, fmt.Sprintf("%d %s", f.Count, f.What))
		}
	}
	if result.Detail.Ended != "" {
		wrong = append(wrong, result.Detail.Ended)
	}
	wrong = append(wrong, result.Missed...)
	if result.Incomplete != "" {
		fmt.Fprintf(std.err, "fleetload: the run was cut short: %s; the result is incomplete, with %d %s in flight\n", result.Incomplete,
			result.InFlight, english.PluralWord(int(result.InFlight), "delivery", "deliveries"))
	}
	switch {
	case len(wrong) > 0:
	case result.Incomplete != "":
		return errCut
	default:
		return nil
	}
	fmt.Fprintln(std.err, "fleetload: this is not as it should be:")
	for _, w := range wrong {
		fmt.Fprintln(std.err, "  "+w)
	}
	return errFault
}
