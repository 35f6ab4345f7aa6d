package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"fleetcast/cmd/internal/options"
	"fleetcast/cmd/internal/stdio"
	"fleetcast/codec/testrun"
)

// pipe is a pipe of which the process gets the writing end.
func pipe(t *testing.T) (read, write *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close(); write.Close() })
	return read, write
}

// unread is the writing end of a pipe that nobody reads any more.
func unread(t *testing.T) *os.File {
	t.Helper()
	read, write := pipe(t)
	read.Close()
	return write
}

// full is the writing end of a pipe that takes nothing more, of which the reader
// stays.
func full(t *testing.T) *os.File {
	t.Helper()
	_, write := pipe(t)
	chunk := make([]byte, unix.Getpagesize())
	for {
		if err := write.SetWriteDeadline(time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := write.Write(chunk); errors.Is(err, os.ErrDeadlineExceeded) {
			return write
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// device opens a device that fails every write.
func device(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("this machine has no %s: %v", path, err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// A gateway whose log can no longer be written goes on: it serves, counts the
// lost lines, and says goodbye to its clients when it is stopped.
func TestLostLog(t *testing.T) {
	serve := func(t *testing.T) (args []string, client, publish, admin string) {
		client, publish, admin = testrun.FreeAddress(t), testrun.FreeAddress(t), testrun.FreeAddress(t)
		return []string{"--listen=" + client, "--publish=" + publish, "--admin=" + admin, "--log-connections=1000"}, client, publish, admin
	}
	for name, test := range map[string]struct {
		shell string // that becomes the process
		sinks func(t *testing.T) (stdout, stderr *os.File, lose func())
	}{
		"reader gone": {`exec "$0" "$@"`, func(t *testing.T) (*os.File, *os.File, func()) {
			read, write := pipe(t)
			return write, write, func() { read.Close() }
		}},
		"reader gone, SIGPIPE ignored at the start": {`trap "" PIPE; exec "$0" "$@"`, func(t *testing.T) (*os.File, *os.File, func()) {
			read, write := pipe(t)
			return write, write, func() { read.Close() }
		}},
		"reader gone before the start": {`exec "$0" "$@"`, func(t *testing.T) (*os.File, *os.File, func()) {
			return unread(t), unread(t), func() {}
		}},
		"disk full": {`exec "$0" "$@"`, func(t *testing.T) (*os.File, *os.File, func()) {
			return device(t, "/dev/full"), device(t, "/dev/full"), func() {}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args, client, publish, admin := serve(t)
			stdout, stderr, lose := test.sinks(t)
			cmd := exec.Command("/bin/sh", append([]string{"-c", test.shell, testBinary(t)}, args...)...)
			cmd.Env = append(os.Environ(), asCommand+"=1")
			cmd.Stdout, cmd.Stderr = stdout, stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cmd.Process.Kill() })
			stdout.Close()
			ended := make(chan struct{})
			go func() { cmd.Wait(); close(ended) }()
			awaitHTTP(t, "http://"+admin+"/readyz", ended)
			lose()

			g := &liveGateway{T: t, url: "ws://" + client + "/ws", publish: publish, admin: "http://" + admin}
			p := g.connect() // a line of the log
			p.says(`{"type":"subscribe","channel":"a"}`)
			p.text()
			g.connect().conn.Close()
			for deadline := time.Now().Add(patience); g.lostLines() == 0; {
				if time.Now().After(deadline) {
					t.Fatal("no line is counted as lost")
				}
				g.connect().conn.Close() // more lines than may wait
			}
			upstream := g.publisher()
			upstream.sends(`{"id":1,"channel":"a","data":1}` + "\n")
			if line := upstream.line(); !strings.Contains(line, `"subscribers":1`) {
				t.Errorf("publish is answered with %s", line)
			}
			if text := p.text(); !strings.Contains(text, `"offset":1`) {
				t.Errorf("the subscriber got %s", text)
			}
			cmd.Process.Signal(syscall.SIGTERM)
			if text := p.text(); !strings.Contains(text, `"goodbye"`) {
				t.Errorf("the subscriber got %s", text)
			}
			if f := p.frame(); f.Header.OpCode != ws.OpClose {
				t.Errorf("the subscriber got opcode %#x", f.Header.OpCode)
			}
			p.conn.Close()
			select {
			case <-ended:
			case <-time.After(patience):
				t.Fatal("the process does not end")
			}
			if state := cmd.ProcessState; !state.Success() {
				t.Errorf("the process ended with %v", state)
			}
		})
	}
}

// awaitHTTP waits until the page is answered with 200.
func awaitHTTP(t *testing.T, url string, ended <-chan struct{}) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if response, err := http.Get(url); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ended:
			t.Fatal("the process has ended")
		case <-time.After(5 * time.Millisecond):
		}
	}
	t.Fatalf("%s is not answered", url)
}

// lostLines is the counter of lost log lines.
func (g *liveGateway) lostLines() int {
	g.Helper()
	_, text := fetch(g.T, g.admin+"/metrics")
	n, err := strconv.Atoi(word(text, `(?m)^fleetcast_log_lines_lost_total (\d+)$`))
	if err != nil {
		g.Fatalf("no counter of lost lines: %v", err)
	}
	return n
}

// The loss is told once lines can be written again, with its reason.
func TestLogWriterTellsWhyLinesWereLost(t *testing.T) {
	read, write := pipe(t)
	broken := unread(t)
	sink := &switchable{to: broken, wrote: make(chan struct{}, 1)}
	_, log := newLog(sink, options.LogFormat{}, nil)
	fmt.Fprintln(log, "lost")
	<-sink.wrote
	sink.now(write)
	fmt.Fprintln(log, "written")
	in := bufio.NewReader(read)
	if line, err := in.ReadString('\n'); line != "written\n" {
		t.Errorf("read %q and %v", line, err)
	}
	if line, _ := in.ReadString('\n'); !regexp.MustCompile(`level=WARN msg="log lines were lost: the standard error could not be written to" lines=1 error=.*broken pipe`).MatchString(line) {
		t.Errorf("the loss is told by %q", line)
	}
	if lost := log.lost.Load(); lost != 1 {
		t.Errorf("%d lines are counted as lost", lost)
	}
}

// outputCases are commands that print and end.
func outputCases(t *testing.T) map[string][]string {
	_, _, publish, admin := startGateway(t)
	return map[string][]string{
		"config":  {"config"},
		"doctor":  {"doctor"},
		"version": {"version"},
		"help":    {"--help"},
		"health":  {"health", "--admin=" + admin},
		"publish": {"publish", "--to=" + publish, "a", "1"},
	}
}

// A command whose output nobody reads ends quietly with the status of SIGPIPE.
func TestOutputThatNobodyReads(t *testing.T) {
	for name, args := range outputCases(t) {
		t.Run(name, func(t *testing.T) {
			p := startPrinting(t, unread(t), args...)
			if code := p.exitCode(t); code != stdio.ExitBrokenPipe || p.err.String() != "" {
				t.Errorf("exit code %d, want %d; it says %q", code, stdio.ExitBrokenPipe, p.err)
			}
		})
	}
}

// A command whose output cannot be written says so.
func TestOutputToAFullDisk(t *testing.T) {
	for name, args := range outputCases(t) {
		t.Run(name, func(t *testing.T) {
			p := startPrinting(t, device(t, "/dev/full"), args...)
			if code := p.exitCode(t); code != exitFailure || !strings.Contains(p.err.String(), "write the standard output: write /dev/stdout: no space left on device") {
				t.Errorf("exit code %d, want %d; it says %q", code, exitFailure, p.err)
			}
		})
	}
}

// startPrinting starts a command with another standard output.
func startPrinting(t *testing.T, stdout *os.File, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(testBinary(t), args...), out: newOutput(), err: newOutput()}
	p.cmd.Env = append(os.Environ(), asCommand+"=1")
	p.cmd.Stdout, p.cmd.Stderr = stdout, p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill() })
	return p
}

// subscribe | head ends with head, not with the event after.
func TestSubscribeIntoHead(t *testing.T) {
	_, url, publish, _ := startGateway(t)
	p := startCommand(t, exec.Command("/bin/bash", "-c", `"$0" subscribe --url="$1" a | head -n 1; echo "status ${PIPESTATUS[*]}"`, testBinary(t), url))
	p.err.await(t, "subscribed to a")
	if code := start(t, nil, "publish", "--to="+publish, "a", "1").wait(t); code != 0 {
		t.Fatalf("publish: exit code %d", code)
	}
	p.out.await(t, `(?s)"data":1.*status 141 0`)
	if code := p.exitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if text := p.err.String(); strings.Contains(text, "again") || strings.Contains(text, "pipe") {
		t.Errorf("it says %q", text)
	}
}

func TestSubscribeToAFullDisk(t *testing.T) {
	_, url, publish, _ := startGateway(t)
	p := startPrinting(t, device(t, "/dev/full"), "subscribe", "--url="+url, "a")
	p.err.await(t, "subscribed to a")
	if code := start(t, nil, "publish", "--to="+publish, "a", "1").wait(t); code != 0 {
		t.Fatalf("publish: exit code %d", code)
	}
	if code := p.exitCode(t); code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	p.err.await(t, "no space left on device")
}

// A gateway whose whole output is stuck in a pipe still starts and stops.
func TestStuckFromTheStart(t *testing.T) {
	stuck := full(t)
	listen := testrun.FreeAddress(t)
	cmd := exec.Command(testBinary(t), "--listen="+listen, "--publish=off", "--admin=off")
	cmd.Env = append(os.Environ(), asCommand+"=1")
	cmd.Stdout, cmd.Stderr = stuck, stuck
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, out: newOutput(), err: newOutput()}
	t.Cleanup(func() { cmd.Process.Kill() })
	awaitHTTP(t, "http://"+listen+"/healthz", nil)
	p.signal(t, syscall.SIGTERM)
	if code := p.exitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// No socket takes the place of a standard stream that was closed before the
// start: what is written there would go to a client.
func TestClosedStandardStreams(t *testing.T) {
	listen := testrun.FreeAddress(t)
	p := startCommand(t, exec.Command("/bin/sh", "-c", `exec "$0" --listen="$1" --publish=off --admin=off <&- >&- 2>&-`, testBinary(t), listen))
	awaitHTTP(t, "http://"+listen+"/healthz", nil)
	for fd := range 3 {
		if target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.cmd.Process.Pid, fd)); target != "/dev/null" {
			t.Errorf("descriptor %d is %q (%v)", fd, target, err)
		}
	}
	p.signal(t, syscall.SIGTERM)
	if code := p.exitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
