package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// A terminal that is closed ends the gateway that was started in it: it must not
// go on holding its ports unseen.
func TestClosedTerminalEndsServe(t *testing.T) {
	cmd := exec.Command(testBinary(t), "--listen=localhost:0", "--publish=off", "--admin=off")
	cmd.Env = append(os.Environ(), asCommand+"=1")
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	for lines := bufio.NewScanner(terminal); lines.Scan(); {
		if strings.Contains(lines.Text(), "stop with") {
			break
		}
	}
	terminal.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ends with %v", err)
	}
}

// Whoever reads logs by machine sees why a service does not start.
func TestFailedStartInJSON(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := start(t, nil, "--log-format=json", "--publish=off", "--admin=off", "--listen="+taken.Addr().String())
	if code := c.wait(t); code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	if text := c.err.String(); !strings.HasPrefix(text, `{"time":`) || !strings.Contains(text, `"level":"ERROR","msg":"cannot serve","error":"open the client port: `) || strings.Count(text, "\n") != 1 {
		t.Errorf("the log is\n%s", text)
	}
}
