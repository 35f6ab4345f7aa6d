package poller_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms are the packages of the gateway from the bottom up, without the prefix
// fleetcast/gateway: each may import those before it, besides poller and codec. What
// is not in the list stands on top of it.
var rooms = []string{"/mem", "/stats", "/limits", "/rules", "/stream", "/settings", "/backlog"}

// TestImportsPointOneWay keeps the layers apart: poller and codec import neither
// each other nor anything above them, the load harness knows a server only from
// outside, and the gateway's rooms import those below.
func TestImportsPointOneWay(t *testing.T) {
	layers := []struct {
		dir     string
		allowed []string // prefixes of the module's own packages
	}{
		{"poller", nil},
		{"codec", []string{"fleetcast/codec/"}},
		{"loadtest", []string{"fleetcast/codec/", "fleetcast/poller", "fleetcast/loadtest"}},
		{"gateway", []string{"fleetcast/codec/", "fleetcast/poller", "fleetcast/gateway"}},
	}
	for _, layer := range layers {
		eachImport(t, layer.dir, func(path, imported string) {
			if !hasOneOf(imported, layer.allowed) {
				t.Errorf("%s imports %s", path, imported)
			}
		})
	}
	for at, room := range rooms {
		eachImport(t, "gateway"+room, func(path, imported string) {
			below, isGateway := strings.CutPrefix(imported, "fleetcast/gateway")
			own := strings.Contains(path, "/streamtest/") && below == room
			if isGateway && !own && !slices.Contains(rooms[:at], below) {
				t.Errorf("%s imports %s, which is not below it", path, imported)
			}
		})
	}
}

// eachImport calls f for each import that a directory's files, but for tests, have
// from this module.
func eachImport(t *testing.T, dir string, f func(path, imported string)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(filepath.Join("..", dir), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		for _, imported := range ownImports(t, path) {
			f(path, imported)
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Errorf("%s: %d files, %v", dir, files, err)
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
