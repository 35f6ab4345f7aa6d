package loadtest_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"fleetcast/loadtest"
)

// startScript runs a server of the profile raw that prints its port, until the test
// ends. check is a command that fails where what the script needs is missing.
func startScript(t *testing.T, check []string, command ...string) (url string) {
	t.Helper()
	env := append(os.Environ(), "NODE_PATH=/usr/share/nodejs") // for who is not Debian's own node
	probe := exec.Command(check[0], check[1:]...)
	probe.Env = env
	if out, err := probe.CombinedOutput(); err != nil {
		t.Skipf("%s: %v: %.200s", strings.Join(check, " "), err, out)
	}
	server := exec.Command(command[0], command[1:]...)
	server.Env, server.Stderr = env, os.Stderr
	said, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Process.Kill(); server.Wait() })
	port, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatalf("%s does not say its port: %v", command[0], err)
	}
	return "ws://127.0.0.1:" + strings.TrimSpace(port)
}

// Servers that parse events and write them anew are right, whatever their language
// makes of large numbers, space and the order of members.
func TestServersThatRewriteJSON(t *testing.T) {
	cases := map[string]struct {
		check, command []string
		rewritten      bool // the bytes differ from those published
	}{
		"node": {[]string{"node", "-e", `require("ws")`}, []string{"node", "testdata/broadcast.mjs"}, false},
		"python": {[]string{"/usr/bin/python3", "-c", "import websockets"},
			[]string{"/usr/bin/python3", "testdata/broadcast.py"}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := scenario(t, loadtest.RunFanout, loadtest.Fanout{
				Common: loadtest.Common{
					URL: startScript(t, c.check, c.command...), Profile: "raw", PID: loadtest.NoProcess,
					Settle: time.Millisecond, Stall: 10 * time.Second, Loops: 2,
				},
				Clients: 10, Traffic: loadtest.Traffic{Events: 100, Window: 4, Data: loadtest.DataRecords, Payload: 300},
			})
			check(t, r, counts{clients: 10, delivered: 1000})
			warned := strings.Contains(strings.Join(r.Detail.Warnings, "\n"), "writes the JSON of events anew")
			if warned != c.rewritten {
				t.Errorf("warnings %q", r.Detail.Warnings)
			}
		})
	}
}

// The first fault of each kind is shown with what was expected and what came.
func TestExamples(t *testing.T) {
	t.Parallel()
	r := run(t, &faultyServer{fault: func(s *subscriber, offset uint64, p []byte) [][]byte {
		switch offset {
		case 50, 51: // rounded (one time of a thousand is already), as a server would that takes the time for a float
			at := bytes.Index(p, []byte(`,"t":"`)) + len(`,"t":"`)
			rounded := bytes.Clone(p)
			copy(rounded[at+16:], "000")
			return [][]byte{rounded}
		case 203:
			return [][]byte{p, []byte(`{"type":"event","channel":"` + s.channel + `","offset":1,"data":{"x":"` + strings.Repeat("y", 5000) + `"}}`)}
		case 150:
			return nil
		}
		return [][]byte{p}
	}}, func(f *loadtest.Fanout) { f.Window = 4 })
	kinds := map[string]loadtest.Example{}
	for _, e := range r.Detail.Examples {
		if _, twice := kinds[e.Kind]; twice {
			t.Errorf("two examples of %s", e.Kind)
		}
		if len(e.Expected) > 400 || len(e.Got) > 400 {
			t.Errorf("a long example: %+v", e)
		}
		kinds[e.Kind] = e
	}
	want := map[string][2]string{
		"corrupted":  {`"t":"`, `000","p":"`},
		"unexpected": {"nothing more on channel load-", `{"type":"event"`},
		"lost":       {"event 149", "neither it"},
	}
	for kind, w := range want {
		if e := kinds[kind]; !strings.Contains(e.Expected, w[0]) || !strings.Contains(e.Got, w[1]) {
			t.Errorf("%s is described by %+v, want %q", kind, e, w)
		}
	}
	var table strings.Builder
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for kind, e := range kinds {
		if !strings.Contains(table.String(), "! "+e.String()+"\n") {
			t.Errorf("the table does not describe %s:\n%s", kind, &table)
		}
	}
}
