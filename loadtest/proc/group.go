package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ErrEnded is what the error of a process wraps that is no more, or is but
// waiting for its parent to notice.
var ErrEnded = errors.New("has ended")

// Group is one or more processes that are measured as one: a server and the
// workers that share its port, say.
type Group struct{ processes []process }

// process is one process; started tells it from a later one with its number.
type process struct {
	pid     int
	started uint64 // in clock ticks after boot
}

// Open returns the group of the given processes, each once. All of them must be
// running.
func Open(pids ...int) (*Group, error) {
	if len(pids) == 0 {
		return nil, errors.New("no process to measure")
	}
	pids = slices.Clone(pids)
	slices.Sort(pids)
	g := new(Group)
	for _, pid := range slices.Compact(pids) {
		p := process{pid: pid}
		s, err := p.readStat()
		if errors.Is(err, ErrEnded) {
			return nil, fmt.Errorf("process %d is not running", pid)
		}
		if err != nil {
			return nil, err
		}
		p.started = s.started
		g.processes = append(g.processes, p)
	}
	return g, nil
}

// PIDs returns the numbers of the processes in ascending order.
func (g *Group) PIDs() []int {
	pids := make([]int, len(g.processes))
	for i, p := range g.processes {
		pids[i] = p.pid
	}
	return pids
}

// CPU samples the processor time of all processes. It fails with an error that
// names the process if one of them has ended.
func (g *Group) CPU() (CPU, error) {
	c := CPU{processes: make([]processCPU, len(g.processes))}
	for i, p := range g.processes {
		var err error
		if c.processes[i], err = p.cpu(); err != nil {
			return CPU{}, err
		}
	}
	return c, nil
}

// Memory is the memory of a group. Pages that its processes share count once
// for each of them.
type Memory struct {
	ResidentKB int64
	PeakKB     int64 // the most that each process has ever had, added up
}

// Memory reads the memory of all processes together. It fails with an error
// that names the process if one of them has ended.
func (g *Group) Memory() (Memory, error) {
	var sum Memory
	for _, p := range g.processes {
		m, err := p.memory()
		if err != nil {
			return Memory{}, err
		}
		sum.ResidentKB += m.ResidentKB
		sum.PeakKB += m.PeakKB
	}
	return sum, nil
}

// OwnCPU is the processor time that this process has used.
func OwnCPU() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		panic(fmt.Sprintf("proc: getrusage: %v", err)) // no argument of ours can be wrong
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func (p process) path(name string) string {
	return filepath.Join(root, strconv.Itoa(p.pid), name)
}

// read reads one of the process's files.
func (p process) read(name string) ([]byte, error) {
	text, err := os.ReadFile(p.path(name))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil, p.ended()
	}
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", p.pid, err)
	}
	return text, nil
}

func (p process) ended() error { return fmt.Errorf("process %d %w", p.pid, ErrEnded) }

// readStat reads the process's account and checks that it is still the same
// process and runs.
func (p process) readStat() (stat, error) {
	text, err := p.read("stat")
	if err != nil {
		return stat{}, err
	}
	s, err := parseStat(text)
	if err != nil {
		return stat{}, fmt.Errorf("%s: %w", p.path("stat"), err)
	}
	zombie := s.state == 'Z' || s.state == 'X'
	if zombie || p.started != 0 && p.started != s.started {
		return stat{}, p.ended()
	}
	return s, nil
}

func (p process) memory() (Memory, error) {
	if _, err := p.readStat(); err != nil {
		return Memory{}, err
	}
	text, err := p.read("status")
	if err != nil {
		return Memory{}, err
	}
	m, err := parseMemory(text)
	if err != nil {
		if _, ended := p.readStat(); ended != nil {
			return Memory{}, ended // it gave its memory back between the two
		}
		if errors.Is(err, errNoMemory) {
			return Memory{}, p.ended() // it has done so, and is not yet gone
		}
		return Memory{}, fmt.Errorf("%s: %w", p.path("status"), err)
	}
	return m, nil
}
