package loadtest_test

import (
	"testing"
	"time"

	"fleetcast/loadtest"
)

// A server may answer the handshake long before events reach the client. Without an
// answer to the subscription the run waits until they do.
func TestLateBroadcasts(t *testing.T) {
	t.Parallel()
	const late = 300 * time.Millisecond
	s := &faultyServer{fault: faithful, raw: true, late: late}
	r := run(t, s, func(f *loadtest.Fanout) { f.Common.Stall = 10 * time.Second })
	check(t, r, counts{clients: 10, delivered: 2030})
}
