package proc

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// stat is what is read of proc(5)'s /proc/PID/stat.
type stat struct {
	state   byte
	used    time.Duration // user and system time
	started uint64        // in clock ticks after boot
}

// Fields of stat: proc(5) counts from 1, and the first after the name is 3.
const (
	fieldState   = 0
	fieldUser    = 14 - 3
	fieldSystem  = 15 - 3
	fieldStarted = 22 - 3
)

// maxTicks is more processor time than there is, and keeps sums in range.
const maxTicks = 1 << 38

func parseStat(text []byte) (stat, error) {
	// The name, field 2, may hold anything, also brackets and spaces; it ends
	// with the last bracket.
	end := bytes.LastIndexByte(text, ')')
	fields := bytes.Fields(text[end+1:])
	if end < 0 || len(fields) <= fieldStarted {
		return stat{}, fmt.Errorf("%d fields after the name, want more than %d", len(fields), fieldStarted)
	}
	var numbers [3]int64
	for i, field := range []int{fieldUser, fieldSystem, fieldStarted} {
		n, err := parseCount(fields[field])
		if err != nil {
			return stat{}, fmt.Errorf("field %d: %w", field+3, err)
		}
		numbers[i] = n
	}
	if numbers[0] > maxTicks || numbers[1] > maxTicks {
		return stat{}, fmt.Errorf("processor times of %d and %d ticks are out of range", numbers[0], numbers[1])
	}
	return stat{
		state:   fields[fieldState][0],
		used:    time.Duration(numbers[0]+numbers[1]) * clockTick,
		started: uint64(numbers[2]),
	}, nil
}

// errNoMemory: a process has none any more, on its way to its end.
var errNoMemory = errors.New("it has no memory")

// parseMemory reads /proc/PID/status.
func parseMemory(text []byte) (m Memory, err error) {
	if m.ResidentKB, err = statusKB(text, "VmRSS"); err != nil {
		return Memory{}, err
	}
	if m.PeakKB, err = statusKB(text, "VmHWM"); err != nil {
		return Memory{}, err
	}
	return m, nil
}

// statusKB finds "Name:   123 kB".
func statusKB(text []byte, name string) (int64, error) {
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		if string(key) != name {
			continue
		}
		fields := bytes.Fields(value)
		if len(fields) != 2 || string(fields[1]) != "kB" {
			return 0, fmt.Errorf("%s: %q is not a number of kB", name, bytes.TrimSpace(value))
		}
		n, err := parseCount(fields[0])
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		return n, nil
	}
	return 0, fmt.Errorf("%w: no %s", errNoMemory, name)
}

// parseCount reads a decimal number that is not negative.
func parseCount(text []byte) (int64, error) {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 63)
	return int64(n), err
}
