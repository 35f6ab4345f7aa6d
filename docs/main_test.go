// Package docs_test has the tests of the pages in this folder: what they name exists,
// and what they tell a reader to do works.
package docs_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"fleetcast/codec/testrun"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// root is the top of the repository, seen from here.
const root = ".."

var scratch string // a folder for the programs

func TestMain(m *testing.M) {
	testrun.Waiting()
	var err error
	if scratch, err = os.MkdirTemp("", "fleetcast-docs"); err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for the programs:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

var build = sync.OnceValue(func() error {
	command := exec.Command("go", "build", "-o", scratch+"/", "./cmd/fleetcast", "./cmd/fleetload")
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, output)
	}
	return nil
})

// program builds fleetcast or fleetload once and returns its path.
func program(t *testing.T, name string) string {
	t.Helper()
	testrun.OtherProcess(t)
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(scratch, name)
}

// freePorts returns ports on which nothing listens now.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		_, port, _ := net.SplitHostPort(testrun.FreeAddress(t))
		ports = append(ports, port)
	}
	return ports
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
