package main

import (
	"math"
	"runtime/debug"
	"sync"
)

// groupMemory is the least memory limit of the process's control group and those
// above it, in bytes, and the file that has it; unlimited if none has one. The
// error is about that file.
func (h host) groupMemory() (limit uint64, at string, err error) {
	const name1, name2 = "memory.limit_in_bytes", "memory.max"
	// Version 1 writes "no limit" as the largest number of whole pages.
	const none = 1 << 60
	limit = unlimited
	for _, file := range append(h.cgroupFiles("", name2), h.cgroupFiles("memory", name1)...) {
		text, err := h.read(file)
		if err == errAbsent {
			continue
		}
		var found uint64
		if err == nil {
			found, err = parseLimit(text)
		}
		if err != nil {
			return unlimited, file, err
		}
		if at == "" || found < limit {
			limit, at = found, file
		}
	}
	if limit >= none {
		limit = unlimited
	}
	return limit, at, nil
}

// memory is what the process may use in bytes: the least of the machine's memory
// and the limits of its control groups. It is 0 if neither can be read.
func (h host) memory() uint64 {
	least := unlimited
	if text, err := h.read("/proc/meminfo"); err == nil {
		if values, err := parseMeminfo(text, "MemTotal"); err == nil {
			least = values[0]
		}
	}
	if limit, _, err := h.groupMemory(); err == nil {
		least = min(least, limit)
	}
	if least == unlimited {
		return 0
	}
	return least
}

// backlogShare is the part of the memory that backlogs may hold, if nothing else
// is said. Go's heap may be twice what is alive.
const backlogShare = 4

// inputShare is that for the unfinished input of clients, and of publishers.
const inputShare = 16

// backlogMemory is what backlogs may hold by default, in bytes; 0 if the memory
// is not known.
var backlogMemory = sync.OnceValue(func() int64 {
	memory := host{root: "/"}.memory()
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 { // GOMEMLIMIT
		memory = min(memory, uint64(limit))
	}
	return int64(memory / backlogShare)
})
