package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"

	"fleetcast/codec/testrun"
)

// completions are lines that a person types up to the tabulator, and what the
// shell is to offer.
var completions = []struct {
	line   string
	offers []string // all of it
	among  string   // or one of it
}{
	{"fleetcast pu", []string{"publish"}, ""},
	{"fleetcast subscribe --tim", []string{"--timeout"}, ""},
	{"fleetcast his", []string{"history"}, ""},
	{"fleetcast history --be", []string{"--before"}, ""},
	{"fleetcast subscribe --si", []string{"--since"}, ""},
	{"fleetcast --max-cl", []string{"--max-clients"}, ""},
	{"fleetcast serve --drain-w", []string{"--drain-window"}, ""},
	{"fleetcast --slow-policy ", []string{"conflate", "disconnect", "drop_oldest"}, ""},
	{"fleetcast config --log-format ", []string{"json", "text"}, ""},
	{"fleetcast config exp", []string{"explain"}, ""},
	{"fleetcast config explain --channe", []string{"--channels"}, ""},
	{"fleetcast completion ", nil, "zsh"},
	{"fleetcast --config fleetcast.y", []string{"fleetcast.yaml"}, ""},
}

// shellWith starts a shell, without the user's files, in a directory that has a
// file fleetcast.yaml and the completion. PATH has the program.
func shellWith(t *testing.T, shell string) (dir string) {
	t.Helper()
	if _, err := exec.LookPath(shell); err != nil {
		t.Skipf("%s is not installed", shell)
	}
	dir = t.TempDir()
	c := start(t, nil, "completion", shell)
	if code := c.wait(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, c.err)
	}
	for name, text := range map[string]string{"completion": c.out.String(), "fleetcast.yaml": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// offered compares what a shell offers.
func offered(t *testing.T, line string, got []string, want []string, among string) {
	t.Helper()
	slices.Sort(got)
	if among != "" && !slices.Contains(got, among) || among == "" && !slices.Equal(got, want) {
		t.Errorf("%q is completed with %q, want %q%s", line, got, want, among)
	}
}

func TestCompletionInBash(t *testing.T) {
	t.Parallel() // it waits most of the time
	testrun.OtherProcess(t)
	dir := shellWith(t, "bash")
	for _, test := range completions {
		// Bash hands the words over like this.
		script := `set -u; source completion; line=$1; COMP_WORDS=($line); [[ $line == *" " ]] && COMP_WORDS+=("")
			COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _fleetcast; printf '%s\n' "${COMPREPLY[@]}"; complete -p fleetcast >&2`
		cmd := exec.Command("bash", "--norc", "-c", script, "bash", test.line)
		cmd.Dir = dir
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		output, err := cmd.Output()
		if err != nil || complaints.String() != "complete -F _fleetcast fleetcast\n" {
			t.Errorf("%q: %v: %s", test.line, err, &complaints)
		}
		offered(t, test.line, strings.Fields(string(output)), test.offers, test.among)
	}
}

func TestCompletionInFish(t *testing.T) {
	t.Parallel() // it waits most of the time
	testrun.OtherProcess(t)
	dir := shellWith(t, "fish")
	for _, test := range completions {
		cmd := exec.Command("fish", "--no-config", "-c", "source completion; complete -C "+"'"+test.line+"'")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
		output, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v: %s", test.line, err, output)
		}
		var got []string
		for line := range strings.Lines(string(output)) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			got = append(got, word)
		}
		offered(t, test.line, got, test.offers, test.among)
	}
}

// Zsh completes at a terminal only: the tabulator is pressed there.
func TestCompletionInZsh(t *testing.T) {
	t.Parallel() // it waits most of the time
	testrun.OtherProcess(t)
	dir := shellWith(t, "zsh")
	cmd := exec.Command("zsh", "-f", "-i")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "TERM=dumb", "PS1=> ")
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close(); cmd.Process.Kill(); cmd.Wait() })
	screen := newOutput()
	go func() {
		for buffer := make([]byte, 4096); ; {
			n, err := terminal.Read(buffer)
			screen.Write(buffer[:n])
			if err != nil {
				return
			}
		}
	}()
	types := func(text string) {
		t.Helper()
		if _, err := terminal.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	types("autoload -Uz compinit; compinit -u -D; source ./completion; unsetopt beep; print -r loaded:$_comps[fleetcast]\n")
	screen.await(t, `loaded:_fleetcast`)
	for _, test := range completions {
		if len(test.offers) != 1 { // the others are listed in columns
			continue
		}
		types(test.line + "\t")
		screen.await(t, regexp.QuoteMeta(test.line[:strings.LastIndexByte(test.line, ' ')+1])+"[^\n]*"+regexp.QuoteMeta(test.offers[0]))
		types("\x15") // gives the line up
	}
}

// The completions have every option, and the manual page too, which readers of
// manual pages show without complaint.
func TestManualPage(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "86400")
	c := start(t, nil, "man")
	if code := c.wait(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, c.err)
	}
	page := filepath.Join(t.TempDir(), "fleetcast.1")
	if err := os.WriteFile(page, []byte(c.out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range serveFlags(t) {
		if !strings.Contains(c.out.String(), strings.ReplaceAll("--"+f.Name+"=", "-", `\-`)) {
			t.Errorf("the page has no --%s", f.Name)
		}
	}
	for _, command := range []string{"config", "config show", "config explain <channel>"} {
		if !strings.Contains(c.out.String(), "\n.SS \"fleetcast "+command+"\"\n") {
			t.Errorf("the page has no %s", command)
		}
	}
	readers := 0
	for _, check := range [][]string{{"mandoc", "-T", "lint", "-W", "warning", page}, {"groff", "-man", "-ww", "-z", page}, {"man", "--warnings", "-l", page}} {
		if _, err := exec.LookPath(check[0]); err != nil {
			continue
		}
		readers++
		cmd := exec.Command(check[0], check[1:]...)
		cmd.Env = append(os.Environ(), "MANPAGER=cat", "MANWIDTH=80", "LC_ALL=C.UTF-8")
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		output, err := cmd.Output()
		if check[0] == "mandoc" {
			complaints.Write(output) // it lints to the standard output
		}
		if err != nil || complaints.Len() > 0 {
			t.Errorf("%v: %v: %s", check, err, &complaints)
		}
		if check[0] == "man" && !strings.Contains(string(output), "1970-01-02") {
			t.Errorf("the page shows no date: %s", output[max(0, len(output)-200):])
		}
	}
	if readers == 0 {
		t.Skip("neither mandoc, groff nor man is installed")
	}
}
