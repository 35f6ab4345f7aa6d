package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// programsDir is where buildOnce builds. It is empty until then.
var programsDir string

var buildOnce = sync.OnceValue(func() (err error) {
	if programsDir, err = os.MkdirTemp("", "fleetload"); err != nil {
		return err
	}
	out, err := exec.Command("go", "build", "-o", programsDir, "fleetcast/cmd/fleetcast", "fleetcast/cmd/fleetload").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the programs: %w: %s", err, out)
	}
	return nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if programsDir != "" {
		os.RemoveAll(programsDir)
	}
	os.Exit(code)
}

// programs returns the paths of the harness and the gateway, which the first call
// builds.
func programs(t *testing.T) (fleetload, fleetcast string) {
	t.Helper()
	if err := buildOnce(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(programsDir, "fleetload"), filepath.Join(programsDir, "fleetcast")
}
