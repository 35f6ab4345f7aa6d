package host

// GroupMemory is the least memory limit of the process's control group and those
// above it, in bytes, and the file that has it; unlimited if none has one. The
// error is about that file.
func (h Host) GroupMemory() (limit uint64, at string, err error) {
	const name1, name2 = "memory.limit_in_bytes", "memory.max"
	// Version 1 writes "no limit" as the largest number of whole pages.
	const none = 1 << 60
	limit = Unlimited
	for _, file := range append(h.CgroupFiles("", name2), h.CgroupFiles("memory", name1)...) {
		text, err := h.Read(file)
		if err == ErrAbsent {
			continue
		}
		var found uint64
		if err == nil {
			found, err = ParseLimit(text)
		}
		if err != nil {
			return Unlimited, file, err
		}
		if at == "" || found < limit {
			limit, at = found, file
		}
	}
	if limit >= none {
		limit = Unlimited
	}
	return limit, at, nil
}

// Memory is how many bytes the process may use: the least of the machine's memory and
// the limits of its control groups. It is 0 if neither can be read.
func (h Host) Memory() uint64 {
	least := Unlimited
	if text, err := h.Read("/proc/meminfo"); err == nil {
		if values, err := ParseMeminfo(text, "MemTotal"); err == nil {
			least = values[0]
		}
	}
	if limit, _, err := h.GroupMemory(); err == nil {
		least = min(least, limit)
	}
	if least == Unlimited {
		return 0
	}
	return least
}
