package web_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"fleetcast/gateway/web"
)

var update = flag.Bool("update", false, "write the files anew that are made from fleetcast.js and fleetcast.d.ts")

// written is the first line of a file that is made from another.
func written(from string) string {
	return "// Written from " + from + ": change that, and run go test -run Written -update.\n"
}

// withoutExports turns the module into statements, and returns the names that it
// exports. Exports are all of the form "export <declaration>" at the start of a line.
func withoutExports(t *testing.T, module string) (body string, names []string) {
	t.Helper()
	for _, match := range regexp.MustCompile(`(?m)^export (?:class|function|const) (\w+)`).FindAllStringSubmatch(module, -1) {
		names = append(names, match[1])
	}
	body = strings.ReplaceAll("\n"+module, "\nexport ", "\n")
	if n := strings.Count("\n"+module, "\nexport "); n != len(names) || n == 0 {
		t.Errorf("of %d exports the names %q were found", n, names)
	}
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "import") || strings.HasPrefix(line, "export") {
			t.Errorf("only a module has %q", line)
		}
	}
	return body, names
}

// TestWritten has all forms of the client be made from one source.
func TestWritten(t *testing.T) {
	body, names := withoutExports(t, string(web.JavaScript))
	head, statements := written("fleetcast.js"), "\"use strict\";\n"+body
	for name, want := range map[string]string{
		"fleetcast.classic.js": head + "(function () {\n" + statements + "\nglobalThis.Fleetcast = Fleetcast;\n})();\n",
		"fleetcast.cjs":        head + statements + "\nmodule.exports = { " + strings.Join(names, ", ") + " };\n",
		"fleetcast.d.cts":      written("fleetcast.d.ts") + string(web.Types),
	} {
		if *update {
			if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
				t.Fatalf("writing a form of the client: %v", err)
			}
			continue
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s (%v) is not what its source gives; run this test with -update", name, err)
		}
	}
}

func TestEmbeddedFiles(t *testing.T) {
	for name, got := range map[string][]byte{
		"fleetcast.js":          web.JavaScript,
		"fleetcast.classic.js":  web.Classic,
		"fleetcast.d.ts":        web.Types,
		"fleetcast.global.d.ts": web.GlobalTypes,
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
	t.Parallel() // it waits most of the time
	files, err := filepath.Glob("*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in JavaScript: %v", err)
	}
	args := append([]string{"--test", "--test-timeout=120000"}, files...)
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
