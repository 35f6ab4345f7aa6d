package web_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"fleetcast/gateway/web"
)

var update = flag.Bool("update", false, "write fleetcast.classic.js anew from fleetcast.js")

// classic turns the module into a plain script. Exports are all of the form
// "export <declaration>" at the start of a line.
func classic(t *testing.T, module string) string {
	t.Helper()
	body := strings.ReplaceAll("\n"+module, "\nexport ", "\n")
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "import") || strings.HasPrefix(line, "export") {
			t.Errorf("a classic script has no %q", line)
		}
	}
	return "// Written from fleetcast.js: change that, and run go test -run Classic -update.\n" +
		"(function () {\n\"use strict\";\n" + body + "\nglobalThis.Fleetcast = Fleetcast;\n})();\n"
}

func TestClassic(t *testing.T) {
	want := classic(t, string(web.JavaScript))
	if *update {
		if err := os.WriteFile("fleetcast.classic.js", []byte(want), 0o644); err != nil {
			t.Fatalf("writing the classic script: %v", err)
		}
		return
	}
	if string(web.Classic) != want {
		t.Error("fleetcast.classic.js is not what fleetcast.js gives; run this test with -update")
	}
}

func TestEmbeddedFiles(t *testing.T) {
	for name, got := range map[string][]byte{
		"fleetcast.js":         web.JavaScript,
		"fleetcast.classic.js": web.Classic,
		"fleetcast.d.ts":       web.Types,
	} {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatalf("reading the file: %v", err)
		}
		if len(got) == 0 || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes are embedded, the file has %d", name, len(got), len(want))
		}
	}
}

// TestNode runs the tests that are written in JavaScript.
func TestNode(t *testing.T) {
	files, err := filepath.Glob("*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in JavaScript: %v", err)
	}
	args := append([]string{"--test", "--test-timeout=20000"}, files...)
	out, err := exec.CommandContext(t.Context(), node(t), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("node --test: %v\n%s", err, out)
	}
}

// node returns the path of Node 20 or later. Without it the test is skipped.
func node(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: the JavaScript client is not tested")
	}
	out, err := exec.CommandContext(t.Context(), path, "--version").Output()
	version := strings.TrimSpace(string(out))
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, convErr := strconv.Atoi(major); err != nil || convErr != nil || n < 20 {
		t.Skipf("node is version %q (%v), not 20 or later: the JavaScript client is not tested", version, err)
	}
	return path
}
