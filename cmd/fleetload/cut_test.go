package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/loadtest"

	"golang.org/x/sys/unix"
)

// A run that is cut short by a signal, by the time or by the end of the server says
// what it has, that this is not all, and what was in flight. Events that the server
// never took are not lost.
func TestCutShort(t *testing.T) {
	t.Parallel() // it waits most of the time
	testrun.OtherProcess(t)
	harness, gateway := programs(t)
	cases := map[string]struct {
		line string
		do   func(harness, server *os.Process) // once events flow
		exit int
		want func(r *loadtest.Result) bool
	}{
		"SIGINT": {"fanout --rate 200 --duration 1m", func(h, _ *os.Process) { h.Signal(unix.SIGINT) }, exitCut,
			func(r *loadtest.Result) bool {
				return strings.HasPrefix(r.Incomplete, "interrupted by SIGINT in phase events")
			}},
		"SIGTERM, processes": {"fanout --rate 200 --duration 1m --processes 2", func(h, _ *os.Process) { h.Signal(unix.SIGTERM) }, exitCut,
			func(r *loadtest.Result) bool {
				return strings.HasPrefix(r.Incomplete, "interrupted by SIGTERM in phase events")
			}},
		// timeout(1) sends the signal to the process and to its group.
		"SIGTERM twice at once": {"fanout --rate 200 --duration 1m", func(h, _ *os.Process) {
			for range 2 {
				h.Signal(unix.SIGTERM)
				time.Sleep(time.Millisecond)
			}
		}, exitCut, func(r *loadtest.Result) bool {
			return strings.HasPrefix(r.Incomplete, "interrupted by SIGTERM in phase events")
		}},
		"SIGINT, hung server": {"fanout --window 4 --events 8000000", func(h, s *os.Process) {
			s.Signal(unix.SIGSTOP)
			time.Sleep(100 * time.Millisecond)
			h.Signal(unix.SIGINT)
		}, exitCut, func(r *loadtest.Result) bool { return r.InFlight > 0 && r.Lost == 0 }},
		"time": {"fanout --events 8000000 --duration 300ms", nil, exitCut,
			func(r *loadtest.Result) bool {
				return strings.HasPrefix(r.Incomplete, "the time of 300ms was over after ") && r.InFlight == 0
			}},
		"server killed": {"fanout --rate 200 --duration 1m", func(_, s *os.Process) { s.Signal(unix.SIGKILL) }, exitFault,
			func(r *loadtest.Result) bool {
				return r.Incomplete != "" && r.Detail.Ended != "" && r.Detail.Disconnected == 10
			}},
		"server killed, slow": {"slow --rate 200 --duration 1m", func(_, s *os.Process) { s.Signal(unix.SIGKILL) }, exitFault,
			func(r *loadtest.Result) bool {
				return endedIn(r, "baseline") && r.Detail.Disconnected == 10
			}},
		"server killed, storm": {"storm --witnesses 5 --calm 1m --stall 200ms", func(_, s *os.Process) { s.Signal(unix.SIGKILL) }, exitFault,
			func(r *loadtest.Result) bool {
				return endedIn(r, "before") && r.Detail.Disconnected == 15
			}},
		"server killed, churn": {"churn --churners 10 --duration 1m --stall 200ms", func(_, s *os.Process) { s.Signal(unix.SIGKILL) }, exitFault,
			func(r *loadtest.Result) bool {
				return endedIn(r, "events") && r.Detail.Ended != ""
			}},
		"server hangs": {"fanout --window 4 --events 8000000 --stall 200ms", func(_, s *os.Process) { s.Signal(unix.SIGSTOP) }, exitFault,
			func(r *loadtest.Result) bool { return r.Detail.Ended != "" && r.Detail.NotTaken > 0 }},
		"server hangs, RESP": {"fanout --window 4 --events 8000000 --stall 200ms --via resp", func(_, s *os.Process) { s.Signal(unix.SIGSTOP) }, exitFault,
			func(r *loadtest.Result) bool { return r.Detail.Ended != "" && r.Detail.NotTaken > 0 }},
		"echo": {"connect --hold 1m", func(h, _ *os.Process) { h.Signal(unix.SIGINT) }, exitCut,
			func(r *loadtest.Result) bool { return r.Clients == 10 }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, url, publish := startServer(t, gateway)
			report := filepath.Join(t.TempDir(), "report.html")
			args := append(strings.Fields(c.line), "--clients", "10", "--url", url, "--publish", publish, "--settle", "1ms", "--json", "--report", report)
			cmd := exec.Command(harness, args...)
			var out, said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			if c.do != nil {
				awaitConnections(t, server.Pid, connectionsOf(c.line))
				time.Sleep(200 * time.Millisecond) // somewhere in the middle of the run
				c.do(cmd.Process, server)
			}
			cmd.Wait()
			var r loadtest.Result
			if err := json.Unmarshal(out.Bytes(), &r); err != nil {
				t.Fatalf("%v: %s%s", err, &out, &said)
			}
			if exit := cmd.ProcessState.ExitCode(); exit != c.exit || !c.want(&r) {
				t.Errorf("exit status %d, want %d; incomplete %q, in flight %d, delivered %d, lost %d, %+v", exit, c.exit, r.Incomplete, r.InFlight, r.Delivered, r.Lost, r.Detail)
			}
			// A server that hangs may have taken an event and sent it to some clients only.
			if hangs := r.Incomplete == ""; r.Lost > 0 && !hangs {
				t.Errorf("%d lost: %q", r.Lost, r.Detail.Notes)
			}
			page, err := os.ReadFile(report)
			if r.Incomplete != "" && (err != nil || !bytes.Contains(page, []byte("cut short"))) {
				t.Errorf("the report does not say that the run was cut short: %v", err)
			}
		})
	}
}

// endedIn tells whether the server's end was noticed in a phase: by the clients, or
// first by the publisher, which loses its connection at the same moment.
func endedIn(r *loadtest.Result, phase string) bool {
	byClients := strings.HasPrefix(r.Incomplete, "the server ended all connections in phase "+phase)
	first := r.Incomplete == "the server ended all connections" // before the first event
	return byClients || first || strings.HasPrefix(r.Incomplete, "publishing: ") && strings.Contains(r.Incomplete, " in phase "+phase)
}

// connectionsOf is how many connections a run of 10 clients makes before events flow.
func connectionsOf(line string) int {
	switch scenario, _, _ := strings.Cut(line, " "); scenario {
	case "connect":
		return 10
	case "storm":
		return 10 + 5 + 1 // with the witnesses and the publisher
	}
	return 10 + 1
}

// awaitConnections waits until a process has so many connections.
func awaitConnections(t *testing.T, pid, count int) {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		entries, err := os.ReadDir(filepath.Join(dir, "fd"))
		established, found := establishedSockets(t), 0
		for _, e := range entries {
			if target, err := os.Readlink(filepath.Join(dir, "fd", e.Name())); err == nil && established[target] {
				found++
			}
		}
		if found >= count {
			return
		}
		if err != nil || time.Now().After(until) {
			t.Fatalf("there are %d connections of %d: %v", found, count, err)
		}
	}
}

// establishedSockets are the TCP connections of this machine, as the links to them in
// /proc/PID/fd show them.
func establishedSockets(t *testing.T) map[string]bool {
	t.Helper()
	const state, inode, isEstablished = 3, 9, "01" // the columns of proc_net_tcp(5)
	found := make(map[string]bool)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // without IPv6
		}
		for line := range strings.Lines(string(text)) {
			if columns := strings.Fields(line); len(columns) > inode && columns[state] == isEstablished {
				found["socket:["+columns[inode]+"]"] = true
			}
		}
	}
	return found
}
