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
var rooms = []string{"/mem", "/stats", "/limits", "/history", "/rules", "/keys", "/identity", "/token", "/hook", "/dialect", "/dialect/fleetcastv1", "/stream", "/settings", "/authority", "/backlog", "/plainhttp", "/ingest", "/shard", "/web/look", "/web/dashboard", "/webport", "/admin"}

// layers are the folders of packages, with the prefixes of what they may import from
// this module. What holds for a folder holds for those in it, too.
var layers = []struct {
	dir     string
	allowed []string
}{
	{"poller", nil},
	{"gateway/web/look", nil},
	{"codec", []string{"fleetcast/codec/"}},
	{"loadtest", []string{"fleetcast/codec/", "fleetcast/poller", "fleetcast/gateway/web/look", "fleetcast/loadtest"}},
	{"loadtest/proc", nil},
	{"loadtest/profile", []string{"fleetcast/codec/"}},
	{"gateway", []string{"fleetcast/codec/", "fleetcast/poller", "fleetcast/gateway"}},
	{"gateway/echo", []string{"fleetcast/codec/", "fleetcast/poller"}},
	{"gateway/publisher", []string{"fleetcast/codec/"}},
	{"gateway/web", []string{"fleetcast/codec/testrun", "fleetcast/gateway/web/look"}},
	{"gateway/webport", nil},
	{"cmd/internal/build", nil},
	{"cmd/internal/stdio", nil},
	{"cmd/internal/keyfile", nil},
	{"cmd/internal/historyfile", nil},
	{"cmd/internal/credential", []string{"fleetcast/gateway/identity", "fleetcast/gateway/token", "fleetcast/cmd/internal/stdio"}},
	{"cmd/internal/shellhelp", nil},
	{"cmd/internal/host", []string{"fleetcast/gateway"}},
	{"cmd/internal/doctor", []string{"fleetcast/gateway", "fleetcast/cmd/internal/host"}},
	{"cmd/internal/options", []string{"fleetcast/codec/jsonscan", "fleetcast/gateway", "fleetcast/cmd/internal/build", "fleetcast/cmd/internal/credential", "fleetcast/cmd/internal/host", "fleetcast/cmd/internal/keyfile", "fleetcast/cmd/internal/stdio"}},
	{"cmd/fleetload", []string{"fleetcast/codec/", "fleetcast/loadtest", "fleetcast/cmd/internal/"}},
	{"cmd/fleetcast", []string{"fleetcast/codec/", "fleetcast/gateway", "fleetcast/cmd/internal/"}},
}

// TestImportsPointOneWay keeps the layers apart: poller and codec import neither
// each other nor anything above them, the load harness knows a server only from
// outside, the gateway's rooms import those below, and nothing imports a program.
func TestImportsPointOneWay(t *testing.T) {
	eachImport(t, ".", func(path, _ string) {
		path, _ = filepath.Rel("..", path)
		for _, other := range []string{"loadtest/peers/", "gateway/interop/redisclients/"} { // modules of their own
			if strings.HasPrefix(path, other) {
				return
			}
		}
		for _, layer := range layers {
			if strings.HasPrefix(path, layer.dir+"/") {
				return
			}
		}
		t.Errorf("%s is in no layer", path)
	})
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
			own := filepath.Base(filepath.Dir(path)) != filepath.Base(room) && below == room // from a folder in it
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
