package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleetcast/cmd/internal/doctor"
)

// TestDoctorCommand runs on the machine at hand, of which only the form of the
// answer is known.
func TestDoctorCommand(t *testing.T) {
	c := start(t, nil, "doctor", "--clients=1", "--publishers=1", "--json", fmt.Sprintf("--pid=%d", os.Getpid()))
	code := c.wait(t)
	var d doctor.Diagnosis
	if err := json.Unmarshal([]byte(c.out.String()), &d); err != nil {
		t.Fatalf("%v in\n%s", err, c.out)
	}
	if (code == 0) != (d.Status != doctor.StatusBad) || len(d.Findings) < 10 {
		t.Errorf("exit code %d, status %s, %d findings", code, d.Status, len(d.Findings))
	}

	c = start(t, nil, "doctor", "--clients=1000000000")
	if code := c.wait(t); code != exitFailure {
		t.Errorf("exit code %d for a billion clients", code)
	}
	c.out.await(t, `bad +descriptor limit(?s).*The narrowest:`)

	for text, want := range map[string]int{"max-clients: 10\n": code, "publish: 0.0.0.0:8082\n": exitFailure, "max-cleints: 10\n": exitFailure} {
		file := filepath.Join(t.TempDir(), "fleetcast.yaml")
		writeConfig(t, file, text)
		c := start(t, nil, "doctor", "--clients=1", "--publishers=1", "--config="+file)
		if got := c.wait(t); got != want || !strings.Contains(c.out.String(), "configuration") || (want != 0) != strings.Contains(c.out.String(), "--check --config") {
			t.Errorf("%q: exit code %d\n%s", text, got, c.out)
		}
	}

	for args, want := range map[string]string{
		"--pid=999999999":      "there is no such process",
		"--pid=-1":             "--pid is -1, must be at least 0",
		"--clients=0":          "--clients is 0, must be at least 1",
		"--clients=2000000000": "must be at most",
		"--publishers=-1":      "--publishers is -1",
	} {
		c := start(t, nil, "doctor", args)
		if code := c.wait(t); code == 0 || !strings.Contains(c.err.String(), want) {
			t.Errorf("%s: exit code %d, %s", args, code, c.err)
		}
	}
}
