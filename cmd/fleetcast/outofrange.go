package main

import (
	"fmt"
	"time"

	"fleetcast/cmd/internal/options"
)

// outOfRange gathers errors about the values of flags.
type outOfRange []error

func (o *outOfRange) add(format string, args ...any) {
	*o = append(*o, fmt.Errorf(format, args...))
}

func (o *outOfRange) number(flag string, value, least int) {
	if value < least {
		o.add("%s is %d, must be at least %d", flag, value, least)
	}
}

// timeout is for times to wait. Shorter ones than a millisecond are slips.
func (o *outOfRange) timeout(flag string, value time.Duration) {
	const least, most = time.Millisecond, 24 * time.Hour
	if value < least || value > most {
		o.add("%s is %v, must be from %v to %v", flag, options.Period(value), options.Period(least), options.Period(most))
	}
}
