package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// readyTimeout is how long a server may take until it accepts.
	readyTimeout = 10 * time.Second
	// stopTimeout is how long a server may take to end once it was told to.
	stopTimeout = 10 * time.Second
)

// buildFloor returns the path of the floor's binary; C++ source is built.
func buildFloor(ctx context.Context, path, dir string) (string, error) {
	if filepath.Ext(path) != ".cpp" {
		return path, nil
	}
	binary := filepath.Join(dir, "floor")
	output, err := exec.CommandContext(ctx, "g++", "-O2", "-std=c++17", "-o", binary, path).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the floor %s: %w\n%s", path, err, output)
	}
	return binary, nil
}

func (c *Config) runGateway(ctx context.Context, s setting) (measured, error) {
	clients, publish, err := freePorts()
	if err != nil {
		return measured{}, err
	}
	server, err := c.startServer(ctx, clients, c.Gateway, "serve", "--listen", local(clients), "--publish", local(publish), "--admin", "off")
	if err != nil {
		return measured{}, err
	}
	defer server.stop()
	return c.load(ctx, s, server, c.Payload, "--profile", "fleetcast", "--url", "ws://"+local(clients)+"/ws", "--publish", local(publish))
}

func (c *Config) runFloor(ctx context.Context, s setting, payload int) (measured, error) {
	port, _, err := freePorts()
	if err != nil {
		return measured{}, err
	}
	command := append([]string{c.Floor, strconv.Itoa(port)}, s.floorMode...)
	server, err := c.startServer(ctx, port, command...)
	if err != nil {
		return measured{}, err
	}
	defer server.stop()
	return c.load(ctx, s, server, payload, "--profile", "raw", "--url", "ws://"+local(port)+"/")
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePorts finds two ports that are free now.
func freePorts() (first, second int, err error) {
	a, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, 0, err
	}
	defer a.Close()
	b, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, 0, err
	}
	defer b.Close()
	return a.Addr().(*net.TCPAddr).Port, b.Addr().(*net.TCPAddr).Port, nil
}

// load runs the harness against server and reads its result.
func (c *Config) load(ctx context.Context, s setting, server *server, payload int, target ...string) (measured, error) {
	arguments := append([]string{"-c", strconv.Itoa(c.HarnessCPU), c.Harness, "fanout", "--json", "--settle=300ms",
		"--pid", strconv.Itoa(server.command.Process.Pid),
		"--clients", strconv.Itoa(c.Clients), "--payload", strconv.Itoa(payload),
		"--events", strconv.Itoa(s.events), "--window", strconv.Itoa(s.window)}, target...)
	command := exec.CommandContext(ctx, "taskset", arguments...)
	var faults bytes.Buffer
	command.Stderr = &faults
	output, err := command.Output()
	if err != nil {
		return measured{}, fmt.Errorf("load: %w: %s", err, strings.TrimSpace(faults.String()))
	}
	var m measured
	if err := json.Unmarshal(output, &m); err != nil {
		return measured{}, fmt.Errorf("reading the result of the load: %w", err)
	}
	return m, nil
}

// server is a server process pinned to its processor.
type server struct {
	command *exec.Cmd
	output  bytes.Buffer  // what it printed; read only once it has ended
	ended   chan struct{} // closed then
}

// startServer starts command and waits until it accepts on port.
func (c *Config) startServer(ctx context.Context, port int, command ...string) (*server, error) {
	// taskset becomes the command, so the process id is the server's.
	s := &server{
		command: exec.CommandContext(ctx, "taskset", append([]string{"-c", strconv.Itoa(c.ServerCPU)}, command...)...),
		ended:   make(chan struct{}),
	}
	s.command.Stdout, s.command.Stderr = &s.output, &s.output
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", command[0], err)
	}
	go func() {
		_ = s.command.Wait() // how it ended does not matter, only what it said
		close(s.ended)
	}()
	if err := s.awaitReady(port); err != nil {
		s.stop()
		return nil, fmt.Errorf("starting %s: %w: %s", command[0], err, strings.TrimSpace(s.output.String()))
	}
	return s, nil
}

func (s *server) awaitReady(port int) error {
	for deadline := time.Now().Add(readyTimeout); time.Now().Before(deadline); {
		conn, err := net.Dial("tcp4", local(port))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.ended:
			return errors.New("it ended at once")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("it does not accept on port %d after %v", port, readyTimeout)
}

// stop ends the server, by force if it takes too long.
func (s *server) stop() {
	_ = s.command.Process.Signal(unix.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(stopTimeout):
		_ = s.command.Process.Kill()
		<-s.ended
	}
}
