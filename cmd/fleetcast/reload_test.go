package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// configFileHere writes fleetcast.yaml into a directory of its own, which
// becomes the working directory.
func configFileHere(t *testing.T, text string) {
	t.Helper()
	t.Chdir(t.TempDir())
	writeConfig(t, "fleetcast.yaml", text)
}

func writeConfig(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startConfigured runs serve in a process with the file of that text.
func startConfigured(t *testing.T, text string, args ...string) *process {
	t.Helper()
	configFileHere(t, text)
	p := startProcess(t, append([]string{"--config=fleetcast.yaml", "--listen=localhost:0", "--publish=off", "--admin=off"}, args...)...)
	p.out.await(t, "stop with")
	return p
}

// reload changes the file and waits for what the process logs.
func (p *process) reload(t *testing.T, text, want string) {
	t.Helper()
	writeConfig(t, "fleetcast.yaml", text)
	p.signal(t, syscall.SIGHUP)
	p.err.await(t, want)
}

func TestReload(t *testing.T) {
	p := startConfigured(t, "max-clients: 10\nping-interval: 1h\n", "--credits=2MiB")
	p.reload(t, "max-clients: 20\nping-interval: 1h\nallow-origin: [https://a, https://b]\ncredits: 3MiB\n",
		`level=INFO msg=reloaded changed="\[allow-origin: none -> https://a https://b max-clients: 10 -> 20\]"`)
	p.reload(t, "max-clients: many\n", `level=ERROR msg="the configuration was not reloaded, nothing has changed" errors="\[fleetcast.yaml:1: max-clients: \\"many\\" is not a whole number from 0 to 1000000000\]"`)
	p.reload(t, "max-event: 3MiB\n", `errors="\[fleetcast.yaml:1: max-event is 3MiB, must be at most credits, 2MiB\]"`)
	p.reload(t, "max-clients: 1000000000\n", `errors="\[fleetcast.yaml:1: max-clients is 1000000000, more than`)
	p.reload(t, "max-clients: 30\nping-interval: 1h\n", `changed="\[allow-origin: https://a https://b -> none max-clients: 20 -> 30\]"`)
	p.reload(t, "max-clients: 30\nping-interval: 2h\n", `level=WARN msg="reloaded; some changes need a restart" needs_restart="\[ping-interval: 1h -> 2h\]"`)
	p.reload(t, "max-clients: 31\nping-interval: 2h\n", `changed="\[max-clients: 30 -> 31\]" needs_restart="\[ping-interval: 1h -> 2h\]"`)
	p.reload(t, "max-clients: 31\nping-interval: 1h\n", `level=INFO msg="reloaded; nothing has changed"`)
	p.reload(t, "max-clients: 31\nping-interval: 1h\nchannels: [{match: bad}]\n", `level=WARN msg="a rule for channels sets nothing and has no effect`)
	p.reload(t, "max-clients: 31\nping-interval: 1h\nchannels: [{match: bad, subscribe: user}]\n", `level=WARN msg="a rule for channels lets no client in, because clients cannot say who they are; set token-secret, issuers or connect-hook" rule="bad subscribe=user" from=`)
	p.signal(t, syscall.SIGTERM)
	if code := p.exitCode(t); code != 0 {
		t.Errorf("exit code %d: %s", code, p.err)
	}
}

func TestReloadOfAMissingFile(t *testing.T) {
	p := startConfigured(t, "max-clients: 10\n")
	if err := os.Remove("fleetcast.yaml"); err != nil {
		t.Fatal(err)
	}
	p.signal(t, syscall.SIGHUP)
	p.err.await(t, `nothing has changed" errors="\[fleetcast.yaml: there is no such file\]"`)
	p.reload(t, "max-clients: 11\n", `max-clients: 10 -> 11`)
}

func TestReloadChangesTheLogLevel(t *testing.T) {
	p := startConfigured(t, "log-level: error\n")
	p.reload(t, "log-level: info\n", `changed="\[log-level: error -> info\]"`)
	p.signal(t, syscall.SIGHUP)
	p.err.await(t, `level=INFO msg="reloaded; nothing has changed"`)
	p.reload(t, "log-level: error\n", `changed="\[log-level: info -> error\]"`)
	p.signal(t, syscall.SIGTERM)
	if code := p.exitCode(t); code != 0 || strings.Contains(p.err.String(), "stopping") {
		t.Errorf("exit code %d, log\n%s", code, p.err)
	}
}

// holdDrain connects a client that answers nothing, for which a drain waits.
func holdDrain(t *testing.T, p *process) {
	t.Helper()
	at := p.out.await(t, `clients connect to +ws://(\S+)/ws`)[1]
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\n", at)
}

func TestReloadChangesTheDrainTimeout(t *testing.T) {
	p := startConfigured(t, "drain-timeout: 1h\n", "--handshake-timeout=1h")
	holdDrain(t, p)
	p.reload(t, "drain-timeout: 3s\ndrain-window: 4s\n", `nothing has changed" errors="\[fleetcast.yaml:2: drain-window is 4s, must be below drain-timeout, 3s\]"`)
	p.reload(t, "drain-timeout: 20ms\ndrain-window: 10ms\n", `changed="\[drain-window: 5s -> 10ms drain-timeout: 1h -> 20ms\]"`)
	p.signal(t, syscall.SIGTERM)
	if code := p.exitCode(t); code != 0 {
		t.Errorf("exit code %d: %s", code, p.err)
	}
	p.err.await(t, "stopping.*drain_timeout=20ms")
}

func TestHangupWhileDraining(t *testing.T) {
	p := startConfigured(t, "drain-timeout: 1h\n", "--handshake-timeout=1h")
	holdDrain(t, p)
	p.signal(t, syscall.SIGTERM)
	p.err.await(t, "stopping")
	p.signal(t, syscall.SIGHUP)
	p.signal(t, syscall.SIGINT)
	p.err.await(t, "signal=interrupt") // two that wait are one
	p.signal(t, syscall.SIGINT)
	if code := p.exitCode(t); code != exitFailure {
		t.Errorf("exit code %d, want that of signals that come again, %d: %s", code, exitFailure, p.err)
	}
}

// A hangup that comes before the gateway serves is for later.
func TestHangupWhileStarting(t *testing.T) {
	hangups := make(chan os.Signal, 1)
	hangups <- syscall.SIGHUP
	c := startWith(t, nil, hangups, "--listen=localhost:0", "--publish=off", "--admin=off")
	c.err.await(t, "reloaded; nothing has changed")
}

func TestHangupEndsOtherCommands(t *testing.T) {
	// A process inherits that hangups are ignored, as below nohup, but not that they
	// are caught.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	p := startProcess(t, "echo", "--listen=localhost:0")
	p.out.await(t, "running")
	p.signal(t, syscall.SIGHUP)
	if code := p.exitCode(t); code != -1 {
		t.Errorf("exit code %d, want none", code)
	}
}
