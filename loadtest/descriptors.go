package loadtest

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// spareDescriptors is what a run needs beside its clients' sockets, its loops and
// the pipes to its members: standard streams, the door, files of /proc.
const spareDescriptors = 64

// raiseDescriptorLimit makes room for the clients, up to what the hard limit
// allows.
func raiseDescriptorLimit(clients, loops, processes int) error {
	need := uint64(clients + spareDescriptors + 4*loops + 4*processes)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	if limit.Cur >= need {
		return nil
	}
	if limit.Max < need {
		return fmt.Errorf("%d clients need %d descriptors and the hard limit is %d: raise it (ulimit -Hn) or use more processes or fewer clients",
			clients, need, limit.Max)
	}
	limit.Cur = need
	return os.NewSyscallError("setrlimit", unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
}
