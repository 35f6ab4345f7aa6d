package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// clockTick is the unit of the times in /proc/PID/stat; it is the same on all
// architectures that Go runs on.
const clockTick = 10 * time.Millisecond

// process is a process of this machine, seen through /proc.
type process struct{ dir string }

// cpuSample is the processor time that a process had used at some moment.
type cpuSample struct {
	total   time.Duration            // of all threads that ever were, to clockTick
	threads map[string]time.Duration // of each thread that is, to the nanosecond
}

func openProcess(pid int) (*process, error) {
	p := &process{filepath.Join("/proc", strconv.Itoa(pid))}
	if _, err := p.cpu(); err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return p, nil
}

// cpu samples the processor time.
func (p *process) cpu() (cpuSample, error) {
	total, err := p.total()
	if err != nil {
		return cpuSample{}, err
	}
	return cpuSample{total, p.threads()}, nil
}

// since is the processor time used between two samples. The threads' own
// accounts are a thousand times finer than the process's but vanish with a
// thread, so they serve only if none has ended.
func (s cpuSample) since(earlier cpuSample) time.Duration {
	var fine time.Duration
	for id, used := range s.threads {
		fine += used - earlier.threads[id]
	}
	for id := range earlier.threads {
		if _, alive := s.threads[id]; !alive {
			return s.total - earlier.total
		}
	}
	if len(s.threads) == 0 {
		return s.total - earlier.total
	}
	return fine
}

// total reads user and system time, fields 14 and 15 of proc(5)'s stat.
func (p *process) total() (time.Duration, error) {
	stat, err := os.ReadFile(filepath.Join(p.dir, "stat"))
	if err != nil {
		return 0, err
	}
	// The name, field 2, may hold anything; fields are counted from its end.
	_, after, _ := bytes.Cut(stat[max(bytes.LastIndexByte(stat, ')'), 0):], []byte(" "))
	fields := bytes.Fields(after)
	const user, system = 14 - 3, 15 - 3
	if len(fields) <= system {
		return 0, fmt.Errorf("%s/stat is malformed", p.dir)
	}
	u, userErr := strconv.ParseInt(string(fields[user]), 10, 64)
	s, systemErr := strconv.ParseInt(string(fields[system]), 10, 64)
	return time.Duration(u+s) * clockTick, errors.Join(userErr, systemErr)
}

// threads reads the time on a processor of each thread, the first field of
// schedstat; none if the kernel does not keep it.
func (p *process) threads() map[string]time.Duration {
	tasks, err := os.ReadDir(filepath.Join(p.dir, "task"))
	if err != nil {
		return nil
	}
	used := make(map[string]time.Duration, len(tasks))
	for _, task := range tasks {
		text, err := os.ReadFile(filepath.Join(p.dir, "task", task.Name(), "schedstat"))
		if err != nil {
			continue // ended since the directory was read
		}
		field, _, _ := bytes.Cut(text, []byte(" "))
		if n, err := strconv.ParseInt(string(field), 10, 64); err == nil {
			used[task.Name()] = time.Duration(n)
		}
	}
	return used
}

// residentKB reads the resident memory in kB.
func (p *process) residentKB() (int64, error) {
	status, err := os.ReadFile(filepath.Join(p.dir, "status"))
	if err != nil {
		return 0, err
	}
	_, after, found := bytes.Cut(status, []byte("\nVmRSS:"))
	fields := bytes.Fields(after)
	if !found || len(fields) == 0 {
		return 0, fmt.Errorf("%s/status has no VmRSS", p.dir)
	}
	return strconv.ParseInt(string(fields[0]), 10, 64)
}

// ownCPU is the processor time that this process has used.
func ownCPU() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
