package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// signals are what other processes tell this one while a command runs.
type signals struct {
	hangups <-chan os.Signal // SIGHUP
	// again has a value for each SIGINT or SIGTERM after the first that does not
	// end the process.
	again <-chan os.Signal
}

// stopRule tells which signal to stop is one too many. SIGTERM comes twice
// without anybody being in a hurry: from a supervisor and from whoever stops the
// supervisor, or to a process and to its group.
type stopRule struct{ all, interrupts int }

const (
	mostStops      = 3 // the third signal ends the process at once
	mostInterrupts = 2 // so does the second SIGINT: somebody presses Ctrl-C again
)

// atOnce counts a signal and tells whether the process has to end at once.
func (r *stopRule) atOnce(s os.Signal) bool {
	r.all++
	if s == os.Interrupt {
		r.interrupts++
	}
	return r.all >= mostStops || r.interrupts >= mostInterrupts
}

// receiveSignals returns a context that ends with the first SIGINT or SIGTERM.
// By stopRule a later one ends the process.
func receiveSignals() (context.Context, signals) {
	ctx, cancel := context.WithCancel(context.Background())
	stops := make(chan os.Signal, mostStops)
	signal.Notify(stops, os.Interrupt, syscall.SIGTERM)
	again := make(chan os.Signal, mostStops)
	go func() {
		var rule stopRule
		for s := range stops {
			switch {
			case rule.atOnce(s):
				sayAtOnce(s)
				os.Exit(exitFailure)
			case rule.all > 1:
				again <- s
			}
			cancel()
		}
	}()
	hangups := make(chan os.Signal, 1) // several at once are one
	signal.Notify(hangups, syscall.SIGHUP)
	return ctx, signals{hangups, again}
}

// sayAtOnce explains the end. It waits only a short time for a reader of the standard
// error.
func sayAtOnce(s os.Signal) {
	said := make(chan struct{})
	go func() {
		fmt.Fprintf(os.Stderr, "fleetcast: signal again (%v), stopping at once\n", s)
		close(said)
	}()
	select {
	case <-said:
	case <-time.After(flushPatience):
	}
}
