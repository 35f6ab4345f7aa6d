package peers

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCentrifugeRecovers runs fleetload's profile centrifugo against the library that
// Centrifugo is made of: clients that come back name their position, and the answer holds
// what they have missed.
func TestCentrifugeRecovers(t *testing.T) {
	t.Parallel()
	harness := filepath.Join(t.TempDir(), "fleetload")
	build := exec.Command("go", "build", "-o", harness, "./cmd/fleetload")
	build.Dir = "../.."
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building fleetload: %v\n%s", err, output)
	}
	cases := map[string]struct {
		history   bool
		arguments string
		events    int64 // recovered at least
	}{
		"storm":           {true, "storm --recover --clients=20 --witnesses=2 --rate=20 --calm=300ms", 20 * 100},
		"storm, live":     {true, "storm --recover --clients=20 --witnesses=2 --fleet-rate=50 --channels=3 --calm=300ms", 20 * 100},
		"fanout":          {true, "fanout --recover --clients=20 --duration=1100ms --away=100ms --missed=1000", 1000},
		"keeps no events": {false, "storm --recover --clients=5 --witnesses=2 --calm=100ms", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var more []string
			if c.history {
				more = []string{"history"}
			}
			address := start(t, filepath.Join(bin, "centrifuge"), more...)
			arguments := append(strings.Fields(c.arguments), "--settle=1ms", "--stall=20s", "--no-yield", "--json", "--profile=centrifugo", "--url=ws://"+address)
			output, err := exec.Command(harness, arguments...).Output()
			if !c.history {
				if failed, ok := err.(*exec.ExitError); !ok || !strings.Contains(string(failed.Stderr), "clients cannot recover") {
					t.Errorf("%v: %s", err, output)
				}
				return
			}
			if err != nil {
				t.Errorf("%v", err)
			}
			var r struct {
				Lost, Duplicated, Reordered int
				Detail                      struct {
					Notes    []string
					Recovery struct {
						Recoveries, Whole, Events, Lost, Resets, Wrong int64
					}
				}
			}
			if err := json.Unmarshal(output, &r); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			d := &r.Detail.Recovery
			if d.Recoveries == 0 || d.Whole != d.Recoveries || d.Events < c.events || d.Lost+d.Resets+d.Wrong > 0 || r.Lost+r.Duplicated+r.Reordered > 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}
