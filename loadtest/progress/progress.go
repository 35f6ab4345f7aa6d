// Package progress shows on standard error how a run is getting on. On a terminal, mpb
// draws two lines anew several times a second. Elsewhere (a file, a pipe, TERM=dumb) it
// writes plain lines: one a second at most, and one at each change of phase.
//
// [Progress.Sample] and [Progress.Done] belong to the goroutine that made the Progress.
// No other may write to the file until Done has returned.
package progress

import (
	"os"

	"github.com/vbauerster/mpb/v8/cwriter"

	"fleetcast/loadtest"
)

// Progress is the display of one run.
type Progress struct {
	display display
	before  loadtest.Sample
}

// display is one of the two ways to show a run.
type display interface {
	show(v view)
	done()
}

// New makes a display on w, which is standard error as a rule. It shows nothing
// until the first sample. On a terminal, faults are red unless the environment
// variable NO_COLOR is set.
func New(w *os.File) *Progress {
	if drawable(w) {
		return &Progress{display: &live{to: w, colours: os.Getenv("NO_COLOR") == ""}}
	}
	return &Progress{display: &plain{to: w}}
}

// Sample shows s, the run's latest sample, up to some four times a second.
func (p *Progress) Sample(s loadtest.Sample) {
	p.display.show(view{s, rate(p.before, s)})
	p.before = s
}

// Done shows the last sample once more, if it is not shown yet, and leaves the
// cursor at the start of an empty line. Nothing is written after it.
func (p *Progress) Done() {
	p.display.done()
}

// drawable reports whether lines on w can be drawn over. A terminal that does
// not know its width cannot tell when a line would wrap.
func drawable(w *os.File) bool {
	fd := int(w.Fd())
	if os.Getenv("TERM") == "dumb" || !cwriter.IsTerminal(fd) {
		return false
	}
	width, height, err := cwriter.GetSize(fd)
	return err == nil && width > 0 && height > 0
}

// rate is the deliveries per second between two samples.
func rate(before, s loadtest.Sample) float64 {
	if s.At <= before.At {
		return 0
	}
	return float64(s.Delivered-before.Delivered) / (s.At - before.At)
}
