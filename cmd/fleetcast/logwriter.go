package main

import (
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

// logWriter keeps the log from holding the gateway up: a pipe that nobody
// reads, or a terminal that was stopped, would make the loops wait. Lines for
// which there is no room are lost, and their number is logged. Any goroutine may
// call its methods.
type logWriter struct {
	out   io.Writer
	lines chan logLine
	lost  atomic.Int64
}

// logLine is a line on its way, or a question whether those before it are
// written.
type logLine struct {
	text    []byte
	written chan struct{}
}

// newLogWriter writes to out in the background. report logs there directly.
func newLogWriter(out io.Writer, report *slog.Logger) *logWriter {
	l := &logWriter{out: out, lines: make(chan logLine, linesWaiting)}
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

func (l *logWriter) run(report *slog.Logger) {
	for line := range l.lines {
		if line.written != nil {
			close(line.written)
			continue
		}
		_, _ = l.out.Write(line.text) // nobody is left to be told
		if lost := l.lost.Swap(0); lost > 0 {
			report.Warn("log lines were lost: the standard error was not read in time", "lines", lost)
		}
	}
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
