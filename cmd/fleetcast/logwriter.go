package main

import (
	"bytes"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// linesWaiting is how many log lines may wait for whoever reads them.
	linesWaiting = 1024
	// flushPatience is how long the end of the process waits for that.
	flushPatience = time.Second
)

// logWriter prevents the log from holding up the gateway or ending it. A pipe that
// nobody reads, or a terminal that was stopped, would make the loops wait. Lines are
// lost if there is no room for them, or if they cannot be written because the reader
// has gone or the disk is full. Their number is counted, and logged when a line can be
// written again. Any goroutine may call its methods.
type logWriter struct {
	out   io.Writer
	name  string // of out, for people
	lines chan logLine
	lost  atomic.Uint64 // in all
	// What only run touches.
	told    uint64 // of the lost ones
	failure error  // of the last write that failed since
}

// logLine is a line on its way, or a question whether those before it are
// written.
type logLine struct {
	text    []byte
	written chan struct{}
}

// newLogWriter writes in the background to out, which has that name. report makes the
// logger that reports lost lines.
func newLogWriter(out io.Writer, name string, report func(io.Writer) *slog.Logger) *logWriter {
	l := &logWriter{out: out, name: name, lines: make(chan logLine, linesWaiting)}
	go l.run(report)
	return l
}

// Write implements io.Writer. It never waits and never fails.
func (l *logWriter) Write(p []byte) (int, error) {
	select {
	case l.lines <- logLine{text: slices.Clone(p)}:
	default:
		l.lost.Add(1)
	}
	return len(p), nil
}

func (l *logWriter) run(report func(io.Writer) *slog.Logger) {
	var text bytes.Buffer
	reporter := report(&text)
	for line := range l.lines {
		if line.written != nil {
			close(line.written)
			continue
		}
		if _, err := l.out.Write(line.text); err != nil {
			l.lost.Add(1)
			l.failure = err
			continue
		}
		if lost := l.lost.Load(); lost > l.told {
			text.Reset()
			l.explain(reporter, lost-l.told)
			if _, err := l.out.Write(text.Bytes()); err == nil {
				l.told, l.failure = lost, nil
			}
		}
	}
}

// explain logs that lines were lost.
func (l *logWriter) explain(to *slog.Logger, lines uint64) {
	if l.failure != nil {
		to.Warn("log lines were lost: "+l.name+" could not be written to", "lines", lines, "error", l.failure)
		return
	}
	to.Warn("log lines were lost: "+l.name+" was not read in time", "lines", lines)
}

// flush waits until everything before it is written, or patience ends.
func (l *logWriter) flush() {
	patience := time.After(flushPatience)
	written := make(chan struct{})
	select {
	case l.lines <- logLine{written: written}:
	case <-patience:
		return
	}
	select {
	case <-written:
	case <-patience:
	}
}
