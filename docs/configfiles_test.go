package docs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// configurationFiles returns the examples of a configuration file in a page: code that
// begins with the comment "# fleetcast.yaml".
func configurationFiles(p page) (files []string) {
	var file []string
	inside := false
	for _, line := range append(p.lines(), part{}) {
		text := strings.TrimPrefix(line.text, "    ")
		if !line.code && inside {
			files = append(files, strings.Join(file, "\n")+"\n")
			file, inside = nil, false
		}
		if line.code && strings.HasPrefix(text, "# fleetcast.yaml") {
			inside = true
		}
		if inside {
			file = append(file, text)
		}
	}
	return files
}

// TestConfigurationFiles has the program check each example of a configuration file.
func TestConfigurationFiles(t *testing.T) {
	t.Parallel() // it waits most of the time
	fleetcast := program(t, "fleetcast")
	check := func(text string) error {
		file := filepath.Join(t.TempDir(), "fleetcast.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if output, err := exec.Command(fleetcast, "config", "--check", "--config", file).CombinedOutput(); err != nil && !strings.Contains(string(output), "descriptor limit") { // of this machine
			return fmt.Errorf("%w: %s", err, output)
		}
		return nil
	}
	found := 0
	for _, p := range pages(t) {
		for _, text := range configurationFiles(p) {
			found++
			if err := check(text); err != nil {
				t.Errorf("%s: %v of\n%s", p.path, err, text)
			}
		}
	}
	if found < 2 {
		t.Errorf("%d examples are found", found)
	}
	if check("max-cleints: 3\n") == nil {
		t.Error("a wrong option passes")
	}
}
