package loadtest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleetcast/loadtest"
)

// memberCommand starts the test binary as a member. Members write their process
// ids into the file.
func memberCommand(t *testing.T) (command []string, pids string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	pids = filepath.Join(t.TempDir(), "pids")
	script := fmt.Sprintf(`echo $$ >>"$1" && %s=1 exec "$2"`, memberVariable)
	return []string{"sh", "-c", script, "sh", pids, self}, pids
}

// readPIDs reads the ids of the members that were started.
func readPIDs(t *testing.T, path string) (pids []int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(text)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Error(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// noneLeft checks that none of the processes exists, not even as a zombie.
func noneLeft(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("process %d: %v", pid, err)
		}
	}
}

func TestSeveralProcesses(t *testing.T) {
	t.Parallel()
	const clients, channels, events = 18, 3, 150
	cases := map[string]func(*loadtest.Fanout){
		"window": func(f *loadtest.Fanout) { f.Events, f.Window = events, 8 },
		"rate":   func(f *loadtest.Fanout) { f.Rate, f.Duration = 300, 500*time.Millisecond },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := loadtest.Fanout{Common: startGateway(t, nil), Clients: clients, Traffic: loadtest.Traffic{Channels: channels}}
			change(&f)
			one := scenario(t, loadtest.RunFanout, f)
			var pids string
			f.Member, pids = memberCommand(t)
			f.Processes, f.Loops = 3, 2
			three := scenario(t, loadtest.RunFanout, f)
			for _, r := range []*loadtest.Result{one, three} {
				faultless(t, r, []string{"connect", "events", "end"}, nil)
				check(t, r, counts{clients: clients, delivered: clients * events / channels})
				d := &r.Detail
				if r.Events != events || !ordered(r.Latency) || !ordered(d.FirstLatency) || !ordered(d.LastLatency) {
					t.Errorf("%d events, latency %v, first %v, last %v", r.Events, r.Latency, d.FirstLatency, d.LastLatency)
				}
				if d.FirstLatency.Max > d.LastLatency.Max || d.LastLatency.Max > r.Latency.Max {
					t.Errorf("of all %v, of the first %v, of the last %v", r.Latency, d.FirstLatency, d.LastLatency)
				}
			}
			started := readPIDs(t, pids)
			if len(started) != 2 {
				t.Errorf("members %v", started)
			}
			noneLeft(t, started)
		})
	}
}

// Faults are found, whichever process has the client.
func TestSeveralProcessesFaults(t *testing.T) {
	t.Parallel()
	const all = 2030
	cases := map[string]struct {
		fault fault
		want  counts
	}{
		"drops":   {every(func(*subscriber, uint64, []byte) [][]byte { return nil }), counts{delivered: all - 40, lost: 40}},
		"doubles": {every(func(_ *subscriber, _ uint64, p []byte) [][]byte { return [][]byte{p, p} }), counts{delivered: all, duplicated: 40}},
		"swaps":   {swap, counts{delivered: all, reordered: 40}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want.clients = 10
			r := run(t, &faultyServer{fault: c.fault}, func(f *loadtest.Fanout) {
				f.Member, _ = memberCommand(t)
				f.Processes = 3
			})
			check(t, r, c.want)
		})
	}
}

func TestMemberThatDies(t *testing.T) {
	t.Parallel()
	s := startFaulty(t, &faultyServer{fault: faithful})
	command, pids := memberCommand(t)
	f := loadtest.Fanout{
		Common: common(s), Clients: 6, Traffic: loadtest.Traffic{Rate: 100}, Duration: 600 * time.Millisecond,
	}
	f.Member, f.Processes = command, 3
	killed := false
	f.Observe = func(sample loadtest.Sample) {
		if !killed && sample.Phase == "events" {
			killed = true
			if err := syscall.Kill(readPIDs(t, pids)[1], syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := loadtest.RunFanout(t.Context(), f)
	if err == nil || !strings.Contains(err.Error(), "a process of the harness has ended") || !killed {
		t.Errorf("killed %v, got %v", killed, err)
	}
	noneLeft(t, readPIDs(t, pids))
}

func TestMemberThatDoesNotStart(t *testing.T) {
	t.Parallel()
	s := startFaulty(t, &faultyServer{fault: faithful})
	cases := map[string]struct {
		command []string
		want    string
	}{
		"ends at once":    {[]string{"sh", "-c", "exit 3"}, "process 2 of the harness: a process of the harness has ended"},
		"answers nothing": {[]string{"true"}, "process 2 of the harness: a process of the harness has ended"},
		"no such command": {[]string{"/nonexistent"}, "process 2 of the harness: starting a process"},
		"no command":      {nil, "several processes need the command that starts one"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := loadtest.Fanout{Common: common(s)}
			f.Member, f.Processes = c.command, 2
			if _, err := loadtest.RunFanout(t.Context(), f); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// Who starts a member by hand is told what it is for.
func TestMemberWithoutLeader(t *testing.T) {
	t.Parallel()
	command, _ := memberCommand(t)
	said, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err == nil || !strings.Contains(string(said), "member: reading the plan") {
		t.Errorf("%v: %s", err, said)
	}
}
