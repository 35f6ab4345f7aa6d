package web_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fleetcast/gateway"
)

// npm returns the path of npm. Without it the test is skipped.
func npm(t *testing.T) string {
	t.Helper()
	node(t)
	path, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("npm is not installed: the npm package is not tested")
	}
	return path
}

// runIn runs a program in dir and returns what it writes.
func runIn(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", program, args, err, out, stderr.String())
	}
	return string(out)
}

// installPackage packs the npm package and installs the file, with the sources of
// testdata/package beside it, in a directory of its own, which it returns.
func installPackage(t *testing.T) (dir string) {
	t.Helper()
	npm := npm(t)
	dir = t.TempDir()
	var packed []struct {
		Filename string `json:"filename"`
		Files    []struct {
			Path string `json:"path"`
		} `json:"files"`
	}
	out := runIn(t, ".", npm, "pack", "--json", "--pack-destination", dir)
	if err := json.Unmarshal([]byte(out), &packed); err != nil || len(packed) != 1 {
		t.Fatalf("npm pack printed %s: %v", out, err)
	}
	var names []string
	for _, file := range packed[0].Files {
		names = append(names, file.Path)
	}
	slices.Sort(names)
	want := []string{"README.md", "fleetcast.cjs", "fleetcast.classic.js", "fleetcast.d.cts", "fleetcast.d.ts", "fleetcast.global.d.ts", "fleetcast.js", "package.json"}
	if !slices.Equal(names, want) {
		t.Errorf("the package has the files %q, want %q", names, want)
	}
	if err := os.CopyFS(dir, os.DirFS("testdata/package")); err != nil {
		t.Fatalf("copying the programs: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"private":true}`), 0o644); err != nil {
		t.Fatalf("writing package.json: %v", err)
	}
	runIn(t, dir, npm, "install", "--offline", "--no-audit", "--no-fund", filepath.Join(dir, packed[0].Filename))
	return dir
}

// wantUsed is what the programs of testdata/package print.
const wantUsed = "true permission_denied\n{\"text\":\"hello\"}\n"

// TestPackage uses the packed npm package in Node, as an ES module and in CommonJS.
func TestPackage(t *testing.T) {
	t.Parallel() // it waits most of the time
	dir := installPackage(t)
	g := startGateway(t)
	url := "ws://" + g.ClientAddrs()[0].String() + gateway.Path
	for _, program := range []string{"use.mjs", "use.cjs"} {
		if got := runIn(t, dir, node(t), "--experimental-websocket", "--no-warnings", program, url); got != wantUsed {
			t.Errorf("%s printed %q, want %q", program, got, wantUsed)
		}
	}
}
