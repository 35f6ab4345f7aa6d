//go:build long

package loadtest_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"fleetcast/loadtest"
)

// Whom events never reach is not waited for without end.
func TestLongProofIsBounded(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go accept(l, func(conn net.Conn) {
		if upgrade(conn, "/") {
			io.Copy(io.Discard, conn) // the probes, too
		}
	})
	r := scenario(t, loadtest.RunFanout, loadtest.Fanout{
		Common: loadtest.Common{
			URL: "ws://" + l.Addr().String(), Profile: "raw", PID: loadtest.NoProcess, Settle: time.Millisecond, Stall: 100 * time.Millisecond,
		},
		Clients: 3, Traffic: loadtest.Traffic{Events: 10},
	})
	if r.Clients != 3 || r.Delivered != 0 || r.Fault() == nil || !strings.Contains(strings.Join(r.Detail.Warnings, "\n"), "3 clients got none of the probes") {
		t.Errorf("%d clients, %d delivered, fault %v, warnings %q", r.Clients, r.Delivered, r.Fault(), r.Detail.Warnings)
	}
}
