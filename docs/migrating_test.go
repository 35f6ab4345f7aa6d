package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestMigrating runs the page's program for clients in Node, and publishes to it as the
// page says.
func TestMigrating(t *testing.T) {
	t.Parallel() // it waits most of the time
	fleetcast := program(t, "fleetcast")
	for _, name := range []string{"node", "curl"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("the code for moving is not run: %v", err)
		}
	}
	block := func(name string) string {
		t.Helper()
		match := regexp.MustCompile("(?s)<!-- migrating: " + name + " -->\n```\\w+\n(.*?)```").FindStringSubmatch(read(t, "migrating.md"))
		if match == nil {
			t.Fatalf("the page has no program %s", name)
		}
		return match[1]
	}
	ports := freePorts(t, 3)
	here := strings.NewReplacer("localhost:8080", "localhost:"+ports[0], "localhost:8081", "localhost:"+ports[1]).Replace
	gateway := startRunning(t, t.TempDir(), nil, fleetcast, "--listen=localhost:"+ports[0], "--admin=localhost:"+ports[1],
		"--publish=localhost:"+ports[2], "--client-publish", "chat.**")
	until(t, "the gateway", regexp.MustCompile("stop with"), gateway.String)

	dir := t.TempDir()
	for name, text := range map[string]string{
		"fleetcast.js": read(t, "../gateway/web/fleetcast.js"), "page.js": here(block("named")), "package.json": `{"type":"module"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page := startRunning(t, dir, nil, "node", "--experimental-websocket", "page.js")
	until(t, "the page", regexp.MustCompile("(?m)^Ada is typing$"), page.String)
	if output, err := exec.Command("sh", "-c", here(block("publish"))).CombinedOutput(); err != nil || !strings.Contains(string(output), `"subscribers": 1`) {
		t.Errorf("publish: %v\n%s", err, output)
	}
	until(t, "the page", regexp.MustCompile("(?m)^Bob: hello$"), page.String)
	if err := <-page.done; err != nil {
		t.Errorf("the page's program ends with %v:\n%s", err, page)
	}
}
