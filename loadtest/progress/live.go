package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

const (
	refreshTime = 200 * time.Millisecond
	barColumns  = 40   // at most
	gap         = "  " // between two parts of a line

	red   = "\x1b[31m"
	reset = "\x1b[0m"
)

// live draws two lines: the course of the run with a bar, and its figures. The
// library draws from its own goroutine, hence the lock.
type live struct {
	lines   *mpb.Progress // nil until the first sample
	course  *mpb.Bar
	to      *os.File
	colours bool

	mu   sync.Mutex
	view view
}

func (l *live) show(v view) {
	l.mu.Lock()
	l.view = v
	l.mu.Unlock()
	if l.lines == nil {
		l.start()
	}
	l.course.SetTotal(v.Planned, false)
	l.course.SetCurrent(v.Events)
}

func (l *live) start() {
	l.lines = mpb.New(mpb.WithOutput(l.to), mpb.WithRefreshRate(refreshTime))
	l.course = l.lines.MustAdd(0, planned(mpb.BarStyle().Build()),
		mpb.BarWidth(barColumns), mpb.BarFillerTrim(),
		mpb.PrependDecorators(l.cells(view.course)...),
		mpb.AppendDecorators(decor.Any(percentage)))
	l.lines.MustAdd(0, nil, mpb.BarFillerTrim(), mpb.PrependDecorators(l.cells(view.figures)...))
}

func (l *live) done() {
	if l.lines != nil {
		l.lines.Shutdown() // draws once more; Wait would take two more ticks to do so
	}
}

// cells makes a cell of each part of a line.
func (l *live) cells(parts func(v view) []part) (cells []decor.Decorator) {
	for i := range parts(view{}) {
		now := func() part {
			l.mu.Lock()
			defer l.mu.Unlock()
			return parts(l.view)[i]
		}
		cells = append(cells, cell{new(decor.WC).Init(), now, l.colours})
	}
	return cells
}

// cell is a part of a line as a decorator of the library, which cuts the line
// off where the terminal ends.
type cell struct {
	decor.WC
	now     func() part
	colours bool
}

// Decor implements decor.Decorator.
func (c cell) Decor(decor.Statistics) (string, int) {
	p := c.now()
	if p.text == "" {
		return "", 0
	}
	text, width := c.Format(p.text + gap)
	if c.colours && p.alarm {
		text = red + text + reset
	}
	return text, width
}

// planned leaves the bar out as long as nobody knows how many events there will be.
func planned(bar mpb.BarFiller) mpb.BarFiller {
	return mpb.BarFillerFunc(func(w io.Writer, s decor.Statistics) error {
		if s.Total == 0 {
			return nil
		}
		return bar.Fill(w, s)
	})
}

func percentage(s decor.Statistics) string {
	if s.Total == 0 {
		return ""
	}
	return fmt.Sprintf(" %d %%", min(100*s.Current/s.Total, 100))
}
