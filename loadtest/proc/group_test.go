package proc_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/loadtest/proc"
)

// childEnv makes a copy of the test binary do nothing until its standard input
// ends.
const childEnv = "FLEETCAST_PROC_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	os.Exit(m.Run())
}

// child is a copy of the test binary that waits.
type child struct {
	t       *testing.T
	command *exec.Cmd
	in      io.Closer
}

// startChild returns when the child runs; it inherits the given files.
func startChild(t *testing.T, files ...*os.File) *child {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), childEnv+"=1", "GORACE=atexit_sleep_ms=0")
	command.ExtraFiles = files
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{t, command, in}
	t.Cleanup(c.end)
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *child) pid() int { return c.command.Process.Pid }

// end makes the child end and waits for it; further calls do nothing.
func (c *child) end() {
	if c.command.ProcessState != nil {
		return
	}
	c.in.Close()
	if err := c.command.Wait(); err != nil {
		c.t.Errorf("the child: %v", err)
	}
}

func open(t *testing.T, pids ...int) *proc.Group {
	t.Helper()
	g, err := proc.Open(pids...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// spin keeps a processor busy until this process has used the given time.
func spin(d time.Duration) {
	for end := proc.OwnCPU() + d; proc.OwnCPU() < end; {
	}
}

func TestCPUOfThisProcess(t *testing.T) {
	g := open(t, os.Getpid())
	own := proc.OwnCPU()
	before, err := g.CPU()
	if err != nil {
		t.Fatal(err)
	}
	spin(50 * time.Millisecond)
	after, err := g.CPU()
	if err != nil {
		t.Fatal(err)
	}
	// What was used between the outer readings bounds what the samples show,
	// but for the grain of an account that had to be coarse.
	const grain = 20 * time.Millisecond
	used, most := after.Since(before), proc.OwnCPU()-own
	if used < 50*time.Millisecond-grain || used > most+grain {
		t.Errorf("%v of processor time were seen of 50ms to %v", used, most)
	}
	if again := before.Since(before); again != 0 {
		t.Errorf("%v between a sample and itself", again)
	}
}

func TestGroupAddsUp(t *testing.T) {
	c := startChild(t)
	own, other, both := open(t, os.Getpid()), open(t, c.pid()), open(t, c.pid(), os.Getpid(), c.pid())
	want := []int{os.Getpid(), c.pid()}
	slices.Sort(want)
	if got := both.PIDs(); !slices.Equal(got, want) {
		t.Errorf("the group is %v, want %v", got, want)
	}
	memory := func(g *proc.Group) proc.Memory {
		t.Helper()
		m, err := g.Memory()
		if err != nil {
			t.Fatal(err)
		}
		if m.ResidentKB < 500 || m.PeakKB < m.ResidentKB/2 {
			t.Errorf("%v have %+v", g.PIDs(), m)
		}
		return m
	}
	sum, parts := memory(both), memory(own).ResidentKB+memory(other).ResidentKB
	// This process may grow in between.
	if diff := parts - sum.ResidentKB; diff < -10_000 || diff > 10_000 {
		t.Errorf("together %d kB, one by one %d kB", sum.ResidentKB, parts)
	}

	before, err := both.CPU()
	if err != nil {
		t.Fatal(err)
	}
	spin(50 * time.Millisecond)
	after, err := both.CPU()
	if err != nil {
		t.Fatal(err)
	}
	if used := after.Since(before); used < 30*time.Millisecond {
		t.Errorf("the group used %v, one of its processes 50ms", used)
	}
}

func TestMemoryGrows(t *testing.T) {
	g := open(t, os.Getpid())
	before, err := g.Memory()
	if err != nil {
		t.Fatal(err)
	}
	const grown = 64 << 20
	block, err := unix.Mmap(-1, 0, grown, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_POPULATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(block)
	after, err := g.Memory()
	if err != nil {
		t.Fatal(err)
	}
	// The kernel counts in lots per processor, and the runtime has memory too.
	if n := after.ResidentKB - before.ResidentKB; n < grown/1024*7/8 || n > grown/1024*5/4 {
		t.Errorf("64 MiB more are seen as %d kB", n)
	}
	if after.PeakKB < after.ResidentKB*9/10 {
		t.Errorf("the peak is %d kB, the memory %d kB", after.PeakKB, after.ResidentKB)
	}
}

func TestEndedProcess(t *testing.T) {
	c := startChild(t)
	pid := c.pid()
	g := open(t, os.Getpid(), pid)
	check := func(state string) {
		t.Helper()
		_, cpuErr := g.CPU()
		_, memoryErr := g.Memory()
		for _, err := range []error{cpuErr, memoryErr} {
			if !errors.Is(err, proc.ErrEnded) || err.Error() != fmt.Sprintf("process %d has ended", pid) {
				t.Errorf("%s: %v", state, err)
			}
		}
		if _, err := proc.Open(pid); err == nil || err.Error() != fmt.Sprintf("process %d is not running", pid) {
			t.Errorf("%s: Open: %v", state, err)
		}
	}
	c.in.Close()
	// Waits for the end and leaves the process for its parent to collect.
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	check("not yet waited for")
	c.end()
	check("waited for")
}

func TestOpenFails(t *testing.T) {
	for _, test := range []struct {
		pids []int
		want string
	}{
		{nil, "no process"},
		{[]int{0}, "process 0 is not running"},
		{[]int{-1}, "process -1 is not running"},
		{[]int{os.Getpid(), 1 << 30}, "process 1073741824 is not running"},
	} {
		if _, err := proc.Open(test.pids...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Open(%v): %v, want %q", test.pids, err, test.want)
		}
	}
}

func TestMachine(t *testing.T) {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	got := proc.Machine()
	if !strings.Contains(got, " processor") || !strings.Contains(got, ", Linux "+strings.TrimSpace(string(kernel))) {
		t.Errorf("this machine is %q", got)
	}
}
