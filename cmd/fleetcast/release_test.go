//go:build long

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestLongRelease makes a release for this machine twice, compares the bytes, and
// runs what is in it.
func TestLongRelease(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	const version = "v1.2.3-test"
	name := "fleetcast-" + version + "-linux-" + runtime.GOARCH
	var archives [2][]byte
	dir := t.TempDir()
	for i := range archives {
		cmd := exec.Command("../../.ci/release", version, dir)
		cmd.Env = append(os.Environ(), "ARCHS="+runtime.GOARCH, "SOURCE_DATE_EPOCH=86400")
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("release: %v\n%s", err, output)
		}
		var err error
		if archives[i], err = os.ReadFile(filepath.Join(dir, name+".tar.gz")); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two builds differ")
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		output, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, output)
		}
		return string(output)
	}
	run("sha256sum", "--check", "SHA256SUMS")
	run("tar", "-xf", name+".tar.gz")
	for _, program := range []string{"fleetcast", "fleetload"} {
		path := filepath.Join(dir, name, program)
		checkStatic(t, path)
		if said := run(path, "version"); !strings.HasPrefix(said, program+" "+version) {
			t.Errorf("%s says %q", program, said)
		}
		for _, file := range []string{"completions/" + program + ".bash", "completions/" + program + ".zsh", "completions/" + program + ".fish", "man/" + program + ".1"} {
			if info, err := os.Stat(filepath.Join(dir, name, file)); err != nil || info.Size() == 0 {
				t.Errorf("%s: %v, %v", file, info, err)
			}
		}
		page, err := os.ReadFile(filepath.Join(dir, name, "man", program+".1"))
		if err != nil || !strings.HasPrefix(string(page), `.TH `+strings.ToUpper(program)+` 1 1970-01-02 "`+program+` v1.2.3\-test"`) {
			t.Errorf("the manual page is %.80q (%v)", page, err)
		}
	}
}
