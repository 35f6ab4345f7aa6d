package host

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"fleetcast/gateway"
	"fleetcast/gateway/webport"
)

// ReservedDescriptors are kept from clients and publishers: listeners, epoll
// instances, the admin port, plain HTTP requests, clients that are turned away,
// files.
func ReservedDescriptors(loops int) int {
	return 64 + 8*loops + webport.Connections + gateway.HTTPConnections + gateway.LingeringConnections
}

// RaiseDescriptorLimit raises the soft limit to the hard one and returns how
// many connections that leaves room for.
func RaiseDescriptorLimit(loops int) (connections int, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the descriptor limit: %w", err)
	}
	if limit.Cur < limit.Max {
		limit.Cur = limit.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return 0, fmt.Errorf("raise the descriptor limit to %d: %w", limit.Max, err)
		}
	}
	const mostUseful = 1 << 30 // "unlimited" must not overflow
	connections = int(min(limit.Cur, mostUseful)) - ReservedDescriptors(loops)
	if connections < 16 {
		return 0, fmt.Errorf("the descriptor limit of %d leaves no room for connections; raise it (ulimit -n, or LimitNOFILE= in a systemd unit)", limit.Cur)
	}
	return connections, nil
}

// Processors is how many the process may use, before GiveLoopsProcessors changes
// what the runtime says.
var Processors = runtime.GOMAXPROCS(0)

// GiveLoopsProcessors makes sure that the scheduler has a slot for every loop
// and one more. A busy loop never enters the scheduler: without a free slot, a
// loop that is parked would be noticed only by the runtime's monitor thread, up
// to 10 ms late. It does not make the process use more processors than it may.
func GiveLoopsProcessors(loops int) {
	if need := loops + 1; runtime.GOMAXPROCS(0) < need {
		runtime.GOMAXPROCS(need)
	}
}
