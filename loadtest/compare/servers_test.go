package compare

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// listOf makes a list of two servers, the second of which has more lines.
func listOf(more string) string {
	return `servers:
  - name: a
    run: a {port}
    profile: raw
    url: ws://127.0.0.1:{port}/
  - name: b
    run: b {port}
    profile: raw
    url: ws://127.0.0.1:{port}/
` + more
}

func TestParseErrors(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"unknown key", listOf("    buidl: x\n"), `s.yaml:10:5: unknown field "buidl"`},
		{"unknown key above", "peers: []\n", `s.yaml:1:1: unknown field "peers"`},
		{"a key twice", listOf("    run: x\n"), `s.yaml:10:5: mapping key "run" already defined at [7:5]`},
		{"wrong type", listOf("    settings: 3\n"), "s.yaml:10:15: int was used where sequence is expected"},
		{"not YAML", "servers: [\n", "s.yaml:1:10: sequence end token ']' not found"},
		{"empty", "", "s.yaml: servers: want the subject and at least one peer"},
		{"no peer", "servers:\n  - name: a\n", "s.yaml:2: servers: want the subject and at least one peer"},
		{"empty server", "servers:\n  - name: a\n    run: a\n    profile: raw\n    url: ws://h:{port}\n  -\n", "s.yaml:6: servers: one of them is empty"},
		{"bad name", strings.Replace(listOf(""), "name: b", "name: b|", 1), `s.yaml:6: name "b|": want letters, digits, and - . _ between them`},
		{"no name", strings.Replace(listOf(""), "name: b", "name:", 1), `s.yaml:6: name "": want letters, digits, and - . _ between them`},
		{"same name", strings.Replace(listOf(""), "name: b", "name: a", 1), "s.yaml:6: name: a is there twice"},
		{"no run", strings.Replace(listOf(""), "run: b {port}", "dir: x", 1), "s.yaml:6: b: run is missing"},
		{"no profile", strings.Replace(listOf(""), "profile: raw", "profile: ''", 1), "s.yaml:2: a: profile is missing"},
		{"no port in the URL", strings.Replace(listOf(""), "ws://127.0.0.1:{port}/", "ws://127.0.0.1:80/", 1),
			"s.yaml:5: url: must use {port}, since each run has a port of its own"},
		{"unknown placeholder", strings.Replace(listOf(""), "b {port}", "b {bin}{prot}", 1),
			"s.yaml:7: run: {prot} is not known: choose from {bin}, {port}, {publish}"},
		{"placeholder of a run in build", listOf("    build: make {port}\n"), "s.yaml:10: build: {port} is not known: choose from {bin}"},
		{"unknown setting", listOf("    settings: [connect, window-2]\n"),
			`s.yaml:10: settings: there is no "window-2": choose from window, window-1, window-32, connect, echo, echo-64k, echo-256k, echo-1m, echo-4m, echo-16m, echo-binary-64k, echo-binary-1m, echo-binary-16m`},
		{"unknown setting of a command", listOf("    run_with:\n      windows: b\n"),
			`s.yaml:11: run_with: there is no setting "windows": choose from window, window-1, window-32, connect, echo, echo-64k, echo-256k, echo-1m, echo-4m, echo-16m, echo-binary-64k, echo-binary-1m, echo-binary-16m`},
		{"unknown placeholder in such", listOf("    run_with:\n      connect: b {x}\n"),
			"s.yaml:11: run_with.connect: {x} is not known: choose from {bin}, {port}, {publish}"},
		{"deflate", listOf("    deflate: 2\n"), "s.yaml:10: deflate: want a share from 0 to 1, not 2"},
		{"faults", listOf("    faults: yes\n"), `s.yaml:10: faults: want "allowed" or nothing, not "yes"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Parse("s.yaml", []byte(c.text)); err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	s, err := Parse("s.yaml", []byte(listOf("    run_with:\n      connect: c ${HOME} {bin}\n    settings: [window-1, connect]\n    faults: allowed\n")))
	if err != nil {
		t.Fatal(err)
	}
	b := s.peers()[0]
	if s.subject().Name != "a" || len(s.peers()) != 1 || b.Name != "b" || b.Faults != faultsAllowed {
		t.Errorf("got %+v", s)
	}
	if one, other := b.command(findSetting("window-1")), b.command(findSetting("connect")); one != "b {port}" || other != "c ${HOME} {bin}" {
		t.Errorf("commands are %q and %q", one, other)
	}
	for name, want := range map[string]bool{"window-1": true, "window-32": false, "connect": true} {
		if b.takesPart(findSetting(name)) != want || !s.subject().takesPart(findSetting(name)) {
			t.Errorf("takes part in %s: %v, want %v", name, b.takesPart(findSetting(name)), want)
		}
	}
}

// A kind's name stands for each of its settings, and none but the setting's own
// goes before it.
func TestKinds(t *testing.T) {
	s, err := Parse("s.yaml", []byte(listOf("    run_with: {echo: e, echo-1m: m}\n    settings: [window-1, echo]\n")))
	if err != nil {
		t.Fatal(err)
	}
	a, b := s.subject(), s.peers()[0]
	cases := []struct {
		setting  string
		command  string // of b
		byA, byB bool   // who takes part
	}{
		{"window-1", "b {port}", true, true},
		{"window-32", "b {port}", true, false},
		{"connect", "b {port}", true, false},
		{"echo-64k", "e", false, true}, // a does not say that it echoes
		{"echo-1m", "m", false, true},
		{"echo-16m", "e", false, true},
	}
	for _, c := range cases {
		in := findSetting(c.setting)
		if got := b.command(in); got != c.command || a.takesPart(in) != c.byA || b.takesPart(in) != c.byB {
			t.Errorf("%s: b is run with %q; take part: %v, %v; want %+v", c.setting, got, a.takesPart(in), b.takesPart(in), c)
		}
	}
}

func TestLoadResolvesPaths(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s.yaml")
	text := strings.Replace(listOf("    dir: ../x\n"), "profile: raw", "profile: my/raw.yaml", 1)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := s.Servers[0], s.Servers[1]
	if a.Dir != dir || a.Profile != filepath.Join(dir, "my/raw.yaml") {
		t.Errorf("a has dir %s and profile %s", a.Dir, a.Profile)
	}
	if b.Dir != filepath.Join(filepath.Dir(dir), "x") || b.Profile != "raw" {
		t.Errorf("b has dir %s and profile %s", b.Dir, b.Profile)
	}
}

// The list that users run must be right.
func TestLoadPeers(t *testing.T) {
	s, err := Load("../peers/servers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := names(s.Servers); got != "fleetcast, floor, gorilla, gws, netpoll, centrifuge" {
		t.Errorf("servers are %s", got)
	}
}

// So must that which tells what compression costs: the servers are one but for
// their clients.
func TestLoadCompression(t *testing.T) {
	s, err := Load("../peers/compression.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := names(s.Servers); got != "compressed, plain, mixed" || s.Data != "records" {
		t.Errorf("servers are %s, data is %s", got, s.Data)
	}
	for i, share := range []float64{1, 0, 0.5} {
		same := *s.subject()
		same.Name, same.Deflate = s.Servers[i].Name, share
		if !reflect.DeepEqual(*s.Servers[i], same) {
			t.Errorf("got %+v, want %+v", *s.Servers[i], same)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(listOf("    build: x\n    dir: y\n    publish: '{publish}'\n"))
	f.Add(listOf("    run_with: {connect: x}\n    settings: [connect]\n    faults: allowed\n"))
	f.Add(listOf("    settings: !x\n0"))
	f.Add("servers:\n  - &a {name: a}\n  - *a\n  -\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("s.yaml", []byte(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "s.yaml:") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		for _, server := range s.Servers {
			if server.Name == "" || server.Run == "" || !strings.Contains(server.URL, "{port}") {
				t.Errorf("incomplete: %+v", server)
			}
		}
	})
}
