package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"fleetcast/codec/testrun"
)

// step is one thing that a page has its reader do or see. A comment in the page names it:
// "file NAME", "file NAME more" for lines at its end, "terminal NAME", "terminal NAME stays"
// for a program that goes on, "terminal NAME fails" if the last line does, "shows NAME",
// "browser URL | fill FIELD TEXT | send", "ctrl-c NAME ...".
type step struct {
	kind, of string
	rest     string
	block    string
}

// stepsOf reads the steps of a page, and fails if a block belongs to none.
func stepsOf(t *testing.T, page string) (steps []step) {
	t.Helper()
	text := read(t, page)
	const fence = "(?ms)^<!-- (file|terminal|shows|browser|ctrl-c) (\\S+) ?(.*?) ?-->\n(?:```\\w+\n(.*?)^```$)?"
	blocks := 0
	for _, match := range regexp.MustCompile(fence).FindAllStringSubmatch(text, -1) {
		steps = append(steps, step{match[1], match[2], match[3], match[4]})
		if match[4] != "" {
			blocks++
		}
	}
	if fences := len(regexp.MustCompile("(?m)^```").FindAllString(text, -1)); fences != 2*blocks || blocks == 0 {
		t.Fatalf("%s has %d fences, %d blocks are run", page, fences, blocks)
	}
	return steps
}

// reader does what a page says. It has a machine of its own and a server, which are
// folders, and ports of its own.
type reader struct {
	*testing.T
	page           string
	folder, server string
	ports          []string          // in place of 8080, 8081, 8082, 3000 and 443
	changes        *strings.Replacer // of the page's ports and folders
	variables      []string          // of all commands, besides those of env
	terminals      map[string]*terminal
	browse         func(url string, step step) // nil without a browser
}

// terminal is a shell in a folder, and what it has shown.
type terminal struct {
	dir   string
	umask string   // a line that sets it; empty: that of the test
	shown string   // by commands that have ended
	goes  *running // the command that goes on, or nil
}

// newReader returns a reader of a page. It skips the test where a program is missing.
func newReader(t *testing.T, page string, programs ...string) *reader {
	t.Helper()
	testrun.OtherProcess(t)
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not run: %v", page, err)
		}
	}
	dir := t.TempDir()
	r := &reader{T: t, page: page, folder: dir + "/evening", server: dir + "/server", ports: freePorts(t, 5), terminals: map[string]*terminal{}}
	for _, folder := range []string{"root", "usr/local/bin", "etc/systemd/system", "etc/caddy", "etc/nginx/conf.d"} {
		if err := os.MkdirAll(filepath.Join(r.server, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// follow does all steps of the page.
func (r *reader) follow() {
	for _, s := range stepsOf(r.T, r.page) {
		if r.Failed() {
			return
		}
		switch s.kind {
		case "file":
			r.saves(s)
		case "terminal":
			lines := strings.Split(strings.TrimSpace(s.block), "\n")
			for i, line := range lines {
				r.types(r.terminal(s.of), strings.TrimSpace(line), s.rest == "stays", s.rest == "fails" && i == len(lines)-1)
			}
		case "shows":
			at := r.terminal(s.of)
			until(r.T, "terminal "+s.of, shownLines(r.here(s.block), false), at.text)
		case "browser":
			r.looks(s)
		case "ctrl-c":
			for _, name := range append([]string{s.of}, strings.Fields(s.rest)...) {
				_ = r.terminal(name).goes.stop(r.T, syscall.SIGINT)
				r.terminal(name).goes = nil
			}
		}
	}
}

// saves writes a file, or lines at its end.
func (r *reader) saves(s step) {
	r.Helper()
	path := r.here(s.of)
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.folder, path)
	}
	text := r.here(s.block)
	if s.rest == "more" {
		text = read(r.T, path) + text
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.Fatal(err)
	}
}

func (r *reader) terminal(name string) *terminal {
	if r.terminals[name] == nil {
		r.terminals[name] = &terminal{dir: r.folder}
	}
	return r.terminals[name]
}

func (t *terminal) text() string {
	if t.goes != nil {
		return t.shown + t.goes.String()
	}
	return t.shown
}

var serverPath = regexp.MustCompile(`(^|[\s="])/(usr/local|etc|srv)/`)

// here puts the test's ports and folders in the place of those of the page.
func (r *reader) here(text string) string {
	text = r.changes.Replace("\n" + text)[1:]
	return serverPath.ReplaceAllString(text, "${1}"+r.server+"/${2}/")
}

// env has the gateway's ports for all of its commands, and the server's programs.
func (r *reader) env() []string {
	return append([]string{
		"FLEETCAST_LISTEN=localhost:" + r.ports[0], "FLEETCAST_ADMIN=localhost:" + r.ports[1],
		"FLEETCAST_PUBLISH=localhost:" + r.ports[2], "PYTHONUNBUFFERED=1", "PATH=" + r.server + "/usr/local/bin:" + os.Getenv("PATH"),
	}, r.variables...)
}

// types has a terminal run a command line. A line that stays goes on.
func (r *reader) types(at *terminal, line string, stays, fails bool) {
	r.Helper()
	if words := strings.Fields(line); words[0] == "systemctl" {
		r.systemctl(words[1:])
		return
	} else if words[0] == "scp" {
		line = "cp " + words[len(words)-2] + " " + r.server + "/root/"
	}
	line = r.here(line)
	if stays {
		at.goes = startRunning(r.T, at.dir, r.env(), "bash", "-c", "exec "+line)
		if strings.Contains(line, " serve ") {
			until(r.T, line, regexp.MustCompile("stop with"), at.text)
		}
		return
	}
	command := exec.CommandContext(r.Context(), "bash", "-c", at.umask+line+"\nstatus=$?; pwd >&3; umask >&3; exit $status")
	command.Dir, command.Env = at.dir, append(os.Environ(), r.env()...)
	after, err := os.Create(filepath.Join(r.server, "after"))
	if err != nil {
		r.Fatal(err)
	}
	defer after.Close()
	command.ExtraFiles = []*os.File{after}
	output, err := command.CombinedOutput()
	at.shown += string(output)
	if (err != nil) != fails {
		r.Fatalf("%s: %v\n%s", line, err, output)
	}
	dir, umask, _ := strings.Cut(strings.TrimSpace(read(r.T, after.Name())), "\n")
	at.dir, at.umask = dir, "umask "+umask+"\n"
}

// fields are the fields that the reader fills in.
func (s step) fields() map[string]string {
	fields := map[string]string{}
	for _, action := range strings.Split(s.rest, "|") {
		if words := strings.SplitN(strings.TrimSpace(action), " ", 3); words[0] == "fill" {
			fields[words[1]] = words[2]
		}
	}
	return fields
}
