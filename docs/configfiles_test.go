package docs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// configurationFiles returns the examples of a configuration file in a page: code that
// begins with the comment "# fleetcast.yaml".
func configurationFiles(p page) (files []string) {
	var file []string
	inside, indent := false, ""
	for _, line := range append(p.lines(), part{}) {
		if !line.code && inside {
			files = append(files, strings.Join(file, "\n")+"\n")
			file, inside = nil, false
		}
		if text := strings.TrimLeft(line.text, " "); line.code && strings.HasPrefix(text, "# fleetcast.yaml") {
			inside, indent = true, strings.TrimSuffix(line.text, text)
		}
		if inside {
			file = append(file, strings.TrimPrefix(line.text, indent))
		}
	}
	return files
}

// secretFile is a file with a secret that an example expects beside itself.
var secretFile = regexp.MustCompile(`\bfile:([\w.-]+)`)

// TestConfigurationFiles has the program check each example of a configuration file.
func TestConfigurationFiles(t *testing.T) {
	t.Parallel() // it waits most of the time
	fleetcast := program(t, "fleetcast")
	check := func(text string) error {
		dir := t.TempDir()
		files := map[string]string{"fleetcast.yaml": text}
		for _, name := range secretFile.FindAllStringSubmatch(text, -1) {
			files[name[1]] = strings.Repeat("s", 32)
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		command := exec.Command(fleetcast, "config", "--check", "--config", "fleetcast.yaml")
		command.Dir = dir
		if output, err := command.CombinedOutput(); err != nil && !strings.Contains(string(output), "descriptor limit") { // of this machine
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
