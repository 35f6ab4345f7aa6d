package poller_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestImportsPointOneWay keeps the layers apart: poller and codec import neither
// each other nor anything above them, and the load harness knows a server only
// from outside.
func TestImportsPointOneWay(t *testing.T) {
	rules := []struct {
		dir     string
		allowed []string // prefixes of the module's own packages
	}{
		{"../poller", nil},
		{"../codec", []string{"fleetcast/codec/"}},
		{"../loadtest", []string{"fleetcast/codec/", "fleetcast/poller", "fleetcast/loadtest"}},
		{"../gateway", []string{"fleetcast/codec/", "fleetcast/poller", "fleetcast/gateway"}},
	}
	for _, rule := range rules {
		files := 0
		err := filepath.WalkDir(rule.dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			for _, imported := range ownImports(t, path) {
				if !hasOneOf(imported, rule.allowed) {
					t.Errorf("%s imports %s", path, imported)
				}
			}
			return nil
		})
		if err != nil || files == 0 {
			t.Errorf("%s: %d files, %v", rule.dir, files, err)
		}
	}
}

// ownImports returns what a file imports from this module.
func ownImports(t *testing.T, path string) (own []string) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range file.Imports {
		if imported, _ := strconv.Unquote(spec.Path.Value); strings.HasPrefix(imported, "fleetcast/") {
			own = append(own, imported)
		}
	}
	return own
}

func hasOneOf(text string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}
