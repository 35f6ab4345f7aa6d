package progress

import (
	"fmt"
	"io"
	"strings"
)

// lineSeconds is the time between two lines of a phase, in the run's own time.
const lineSeconds = 1

// plain writes a line now and then.
type plain struct {
	to      io.Writer
	last    view // that was given
	printed view // that was written
	any     bool // something was written
	pending bool // last was not
}

func (p *plain) show(v view) {
	p.last, p.pending = v, true
	if !p.any || v.Phase != p.printed.Phase || v.At-p.printed.At >= lineSeconds {
		p.print()
	}
}

func (p *plain) done() {
	if p.pending {
		p.print()
	}
}

// print ignores errors: a run does not end because nobody watches it.
func (p *plain) print() {
	words := []string{fmt.Sprintf("%6.1f s", p.last.At)}
	for _, part := range append(p.last.course(), p.last.figures()...) {
		if part.text != "" {
			words = append(words, part.text)
		}
	}
	fmt.Fprintln(p.to, strings.Join(words, "  "))
	p.printed, p.any, p.pending = p.last, true, false
}
