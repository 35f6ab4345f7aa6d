package main

import (
	"math"
	"runtime/debug"
	"sync"

	"fleetcast/cmd/internal/host"
)

// backlogShare is the part of the memory that backlogs may hold, if nothing else
// is said. Go's heap may be twice what is alive.
const backlogShare = 4

// inputShare is that for the unfinished input of clients, and of publishers.
const inputShare = 16

// backlogMemory is what backlogs may hold by default, in bytes; 0 if the memory
// is not known.
var backlogMemory = sync.OnceValue(func() int64 {
	memory := host.Host{Root: "/"}.Memory()
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 { // GOMEMLIMIT
		memory = min(memory, uint64(limit))
	}
	return int64(memory / backlogShare)
})
