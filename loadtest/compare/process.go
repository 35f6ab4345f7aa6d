package compare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// readyTimeout is how long a server may take until it accepts.
	readyTimeout = 10 * time.Second
	// readyInterval is how long one attempt to connect waits for the next.
	readyInterval = 20 * time.Millisecond
	// stopTimeout is how long a process may take to end once it was told to.
	stopTimeout = 10 * time.Second
	// leaveTime is how long after its connections a server's end may be seen.
	leaveTime = 200 * time.Millisecond
	// maxOutput is how much of a process's output is kept for errors, in bytes.
	maxOutput = 8 << 10
)

// newCommand makes a command in a process group of its own, so that it and all
// that it starts can be ended together. When ctx ends the group is told to end.
func newCommand(ctx context.Context, name string, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, name, arguments...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return signalGroup(command, unix.SIGTERM) }
	command.WaitDelay = stopTimeout
	return command
}

func signalGroup(command *exec.Cmd, signal unix.Signal) error {
	return unix.Kill(-command.Process.Pid, signal)
}

// runCommand runs a command to its end; nothing of its group is left then.
func runCommand(command *exec.Cmd) error {
	if err := command.Start(); err != nil {
		return err
	}
	defer signalGroup(command, unix.SIGKILL)
	return command.Wait()
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if over := len(t.text) - maxOutput; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

// String returns it for the end of an error.
func (t *tail) String() string {
	text := strings.TrimSpace(string(t.text))
	if text == "" {
		return "it said nothing"
	}
	return "it said:\n" + text
}

// process is a server that runs, pinned to its processor.
type process struct {
	command *exec.Cmd
	output  tail          // read only once it has ended
	ended   chan struct{} // closed then
}

// startProcess starts a shell command that becomes the server, and waits until
// it accepts on the ports.
func startProcess(ctx context.Context, processor int, dir, command string, ports ...int) (*process, error) {
	// Neither taskset nor the shell stays: the process id is the server's.
	p := &process{
		command: newCommand(ctx, "taskset", "-c", strconv.Itoa(processor), "sh", "-c", "exec "+command),
		ended:   make(chan struct{}),
	}
	p.command.Dir = dir
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.command.Wait() // how it ended does not matter, only what it said
		close(p.ended)
	}()
	for _, port := range ports {
		if err := p.awaitReady(ctx, port); err != nil {
			p.stop()
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("%w; %v", err, &p.output)
		}
	}
	return p, nil
}

func (p *process) awaitReady(ctx context.Context, port int) error {
	timeout := time.After(readyTimeout)
	for {
		conn, err := net.Dial("tcp4", local(port))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.ended:
			return errors.New("it ended at once")
		case <-timeout:
			return fmt.Errorf("it does not accept on port %d after %v", port, readyTimeout)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(readyInterval):
		}
	}
}

// left tells whether the server has ended by itself. Its connections end a
// moment before that can be seen.
func (p *process) left() bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(leaveTime):
		return false
	}
}

// stop ends the server, by force if it takes too long.
func (p *process) stop() {
	_ = signalGroup(p.command, unix.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
	}
	_ = signalGroup(p.command, unix.SIGKILL)
	<-p.ended
}

// checkProcessors tells whether this process may use the processors that
// servers and harness are to be pinned to, and whether it has the tool for that.
func checkProcessors(server, harness int) error {
	if _, err := exec.LookPath("taskset"); err != nil {
		return fmt.Errorf("compare pins processes with taskset (of the package util-linux): %w", err)
	}
	if server == harness {
		return fmt.Errorf("the servers and the harness need a processor each, not both processor %d", server)
	}
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return fmt.Errorf("compare: reading which processors there are: %w", err)
	}
	for _, processor := range []int{server, harness} {
		if !allowed.IsSet(processor) {
			return fmt.Errorf("there is no processor %d for this process to use: choose others with --server-cpu and --harness-cpu", processor)
		}
	}
	return nil
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePorts finds two ports that are free now. They lie below those that the kernel gives
// to connections, so that nothing takes them by chance before the server does.
func freePorts() (first, second int, err error) {
	for range 100 {
		first = 10_000 + rand.IntN(10_000)
		second = first + 10_000
		if err = cmp.Or(tryPort(first), tryPort(second)); err == nil {
			return first, second, nil
		}
	}
	return 0, 0, err
}

func tryPort(port int) error {
	l, err := net.Listen("tcp4", local(port))
	if err != nil {
		return err
	}
	return l.Close()
}
