package peers

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestNATS runs fleetload's profile nats against a real NATS server: lengths that the
// server checks, several messages in a frame, and both ways to publish.
func TestNATS(t *testing.T) {
	harness := filepath.Join(t.TempDir(), "fleetload")
	build := exec.Command("go", "build", "-o", harness, "./cmd/fleetload")
	build.Dir = "../.."
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building fleetload: %v\n%s", err, output)
	}
	builtin, err := os.ReadFile("../profile/builtin/nats.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(builtin), "publish:\n")
	bySocket := write(t, text+"publish:\n  via: socket\n  send: \"PUB {channel} {length}\\r\\n{data}\\r\\n\"\n")
	tooShort := write(t, strings.Replace(string(builtin), "PUB {channel} {length}", "PUB {channel} 5", 1))

	cases := map[string]struct {
		profile string
		events  string
		exit    int
	}{
		"TCP":          {"nats", "--events=500 --window=16 --channels=3", 0},
		"TCP, rate":    {"nats", "--rate=500 --duration=1s --payload=5000", 0},
		"WebSocket":    {bySocket, "--events=500 --window=16 --data=records", 0},
		"wrong length": {tooShort, "--events=5 --stall=300ms", 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			address := start(t, filepath.Join(bin, "nats"), strconv.Itoa(port))
			arguments := append(strings.Fields(c.events), "--clients=20", "--settle=1ms", "--json", "--profile="+c.profile,
				"--url=ws://"+address, "--publish=127.0.0.1:"+strconv.Itoa(port))
			output, err := exec.Command(harness, append([]string{"fanout"}, arguments...)...).Output()
			exit := 0
			if failed, ok := err.(*exec.ExitError); ok {
				exit = failed.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			var r struct {
				Clients, Events, Delivered, Lost int
				Detail                           struct {
					Rejected int
					Notes    []string
				}
			}
			if err := json.Unmarshal(output, &r); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			if exit != c.exit || r.Clients != 20 || exit == 0 && (r.Delivered == 0 || r.Lost > 0) {
				t.Errorf("exit status %d, %+v", exit, r)
			}
			if exit != 0 && r.Detail.Rejected == 0 && !strings.Contains(strings.Join(r.Detail.Notes, " "), "not_taken") {
				t.Errorf("the server's complaint is not told: %+v", r)
			}
		})
	}
}

// write puts a profile into a file.
func write(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "nats.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
