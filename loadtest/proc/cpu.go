package proc

import (
	"bytes"
	"os"
	"path/filepath"
	"time"
)

// clockTick is the unit of the times in /proc/PID/stat; it is the same on all
// architectures that Go runs on.
const clockTick = 10 * time.Millisecond

// statError is how far the difference of two totals may be off: user and system
// time are each cut to a tick.
const statError = 2 * clockTick

// CPU is the processor time that a group had used at some moment.
type CPU struct{ processes []processCPU }

// processCPU is the same of one process.
type processCPU struct {
	total   time.Duration            // of all threads that ever were, to clockTick
	threads map[string]time.Duration // of each thread that is, to the nanosecond
}

// Since is the processor time used between an earlier sample of the same group
// and this one.
func (c CPU) Since(earlier CPU) time.Duration {
	var used time.Duration
	for i, p := range c.processes {
		used += p.since(earlier.processes[i])
	}
	return used
}

// since: the threads' own accounts are a thousand times finer than the
// process's but vanish with a thread, so they serve only if none has ended.
func (c processCPU) since(earlier processCPU) time.Duration {
	total := c.total - earlier.total
	for id := range earlier.threads {
		if _, alive := c.threads[id]; !alive {
			return total
		}
	}
	var fine time.Duration
	for id, used := range c.threads {
		fine += used - earlier.threads[id]
	}
	// More than the grain explains: the kernel keeps no finer account, or
	// threads came and went between the samples.
	if len(c.threads) == 0 || total-fine > statError {
		return total
	}
	return fine
}

func (p process) cpu() (processCPU, error) {
	s, err := p.readStat()
	if err != nil {
		return processCPU{}, err
	}
	return processCPU{s.used, p.threads()}, nil
}

// threads reads the time on a processor of each thread; none if the kernel does
// not keep it.
func (p process) threads() map[string]time.Duration {
	tasks, err := os.ReadDir(p.path("task"))
	if err != nil {
		return nil
	}
	used := make(map[string]time.Duration, len(tasks))
	for _, task := range tasks {
		text, err := os.ReadFile(filepath.Join(p.path("task"), task.Name(), "schedstat"))
		if err != nil {
			continue // ended since the directory was read
		}
		field, _, _ := bytes.Cut(text, []byte(" "))
		if n, err := parseCount(field); err == nil {
			used[task.Name()] = time.Duration(n)
		}
	}
	return used
}
