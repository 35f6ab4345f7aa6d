package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// exitFault is the harness's exit status if a run was made and its verification
// failed: the result is there then.
const exitFault = 1

// build builds a server, if there is something to build.
func (c *comparison) build(ctx context.Context, s *Server) error {
	if s.Build == "" {
		return nil
	}
	fmt.Fprintf(c.Progress, "building %s\n", s.Name)
	command := newCommand(ctx, "sh", "-c", strings.ReplaceAll(s.Build, "{bin}", c.bin))
	command.Dir = s.Dir
	var output tail
	command.Stdout, command.Stderr = &output, &output
	if err := runCommand(command); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("building %s: %w; %v", s.Name, err, &output)
	}
	return nil
}

// measure runs a server and the harness against it.
func (c *comparison) measure(ctx context.Context, s *setting, server *Server, load []string) (*outcome, error) {
	port, publish, err := freePorts()
	if err != nil {
		return nil, fmt.Errorf("%s: finding a free port: %w", server.Name, err)
	}
	expand := strings.NewReplacer("{bin}", c.bin, "{port}", strconv.Itoa(port), "{publish}", strconv.Itoa(publish)).Replace
	ports := []int{port}
	if strings.Contains(server.command(s), "{publish}") {
		ports = append(ports, publish)
	}
	process, err := startProcess(ctx, c.ServerCPU, server.Dir, expand(server.command(s)), ports...)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", server.Name, err)
	}
	defer process.stop()

	load = append(load, "--json", "--profile="+server.Profile, "--url="+expand(server.URL),
		"--pid="+strconv.Itoa(process.command.Process.Pid))
	if s.events && server.Publish != "" {
		load = append(load, "--publish="+expand(server.Publish))
	}
	if s.events && c.Servers.Data != "" {
		load = append(load, "--data="+c.Servers.Data)
	}
	if server.Deflate > 0 {
		load = append(load, fmt.Sprintf("--deflate=%v", server.Deflate))
	}
	o, err := c.load(ctx, load)
	if err == nil && (o.fault == "" || server.Faults == faultsAllowed) {
		return o, nil
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case process.left():
		return nil, fmt.Errorf("%s ended during the run; %v", server.Name, &process.output)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", server.Name, err)
	}
	return nil, fmt.Errorf("%s: %s", server.Name, o.fault)
}

// load runs the harness and reads its result.
func (c *comparison) load(ctx context.Context, arguments []string) (*outcome, error) {
	command := newCommand(ctx, "taskset", append([]string{"-c", strconv.Itoa(c.HarnessCPU), c.Harness}, arguments...)...)
	var result bytes.Buffer
	var said tail
	command.Stdout, command.Stderr = &result, &said
	err := runCommand(command)
	o := new(outcome)
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit) && exit.ExitCode() == exitFault:
		o.fault = strings.TrimPrefix(strings.TrimSpace(string(said.text)), "fleetload: ")
	default:
		return nil, fmt.Errorf("%s: %w; %v", strings.Join(command.Args, " "), err, &said)
	}
	if err := json.Unmarshal(result.Bytes(), o); err != nil {
		return nil, fmt.Errorf("reading the result of %s: %w", strings.Join(command.Args, " "), err)
	}
	return o, nil
}
