package docs_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fleetcast/codec/testrun"
)

// running is a program that a page starts. The test ends it with all that it started.
type running struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	text bytes.Buffer
	done chan error
}

// startRunning starts a program in a folder. env comes on top of the test's own.
func startRunning(t *testing.T, dir string, env []string, name string, args ...string) *running {
	t.Helper()
	r := &running{cmd: exec.CommandContext(context.WithoutCancel(t.Context()), name, args...), done: make(chan error, 1)}
	r.cmd.Dir, r.cmd.Env = dir, append(os.Environ(), env...)
	r.cmd.Stdout, r.cmd.Stderr = r, r
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() { r.done <- r.cmd.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
		if secret := testrun.FindSecret(r.String()); secret != "" {
			t.Errorf("%s prints a secret, %.20s...", name, secret)
		}
	})
	return r
}

// Write takes what the program prints.
func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *running) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// stop sends a signal and waits until the program has ended.
func (r *running) stop(t *testing.T, s syscall.Signal) error {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %v: %v", s, err)
	}
	select {
	case err := <-r.done:
		return err
	case <-time.After(patience):
		t.Fatalf("%v does not end after %v; it printed\n%s", r.cmd.Args, s, r)
		return nil
	}
}

// until waits until what is shown matches. shown is asked again and again.
func until(t *testing.T, what string, pattern *regexp.Regexp, shown func() string) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); ; <-poll.C {
		text := shown()
		if pattern.MatchString(text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not show %q; it shows\n%s", what, pattern, text)
		}
	}
}

// shownLines makes a pattern of what a page says is shown: these lines, one directly
// after the other, but for a line with three dots, which stands for any lines.
// Epochs, digests and the version of the program may differ, and with anyNumbers all
// numbers.
func shownLines(text string, anyNumbers bool) *regexp.Regexp {
	var pattern strings.Builder
	pattern.WriteString(`(?m)`)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "..." {
			pattern.WriteString(`(?:.*\n)*?`)
			continue
		}
		line = regexp.QuoteMeta(line)
		line = strings.ReplaceAll(line, "fleetcast development", `fleetcast \S+`)
		line = regexp.MustCompile(`\\\(go[^,]+, `).ReplaceAllLiteralString(line, `\(go\S+, `)
		line = regexp.MustCompile(`epoch [\w-]{8}`).ReplaceAllLiteralString(line, `epoch [\w-]{8}`)
		line = regexp.MustCompile(`sha256: \w+`).ReplaceAllLiteralString(line, `sha256: [0-9a-f]{64}`)
		if anyNumbers {
			line = regexp.MustCompile(`\d+(\\\.\d+)?`).ReplaceAllLiteralString(line, `\d+(?:\.\d+)?`)
		}
		pattern.WriteString(`^` + line + `$\n?`)
	}
	return regexp.MustCompile(pattern.String())
}
