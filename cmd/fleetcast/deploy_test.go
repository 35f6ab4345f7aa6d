package main

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"fleetcast/codec/testrun"
)

// deployment is where the files that install fleetcast are, seen from here.
const deployment = "../../docs/deploy"

// installUnits copies the units to a directory of their own, with the test
// binary as the program that they start: systemd-analyze looks for it.
func installUnits(t *testing.T) (units []string) {
	t.Helper()
	dir := t.TempDir()
	sources, err := filepath.Glob(deployment + "/*.s*") // .service, .socket
	if err != nil || len(sources) != 4 {
		t.Fatalf("units %v, %v", sources, err)
	}
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("/usr/local/bin/fleetcast"), []byte(testBinary(t)))
		unit := filepath.Join(dir, filepath.Base(source))
		if err := os.WriteFile(unit, text, 0o644); err != nil {
			t.Fatal(err)
		}
		units = append(units, unit)
	}
	return units
}

func TestUnits(t *testing.T) {
	testrun.OtherProcess(t)
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	units := installUnits(t)
	output, err := exec.Command(analyze, append([]string{"verify", "--man=no"}, units...)...).CombinedOutput()
	if err != nil || len(output) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, output)
	}
	for _, unit := range units {
		if filepath.Ext(unit) != ".service" {
			continue
		}
		// The threshold is in tenths; it fails above that.
		output, err := exec.Command(analyze, "security", "--offline=yes", "--no-pager", "--threshold=15", unit).CombinedOutput()
		if err != nil {
			t.Errorf("systemd-analyze security: %v\n%s", err, output)
		}
	}
}

// TestSocketUnitsNameTheirSockets keeps the units and the names that serve
// understands together.
func TestSocketUnitsNameTheirSockets(t *testing.T) {
	found := make(map[string]bool)
	for _, unit := range installUnits(t) {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		if match := regexp.MustCompile(`(?m)^FileDescriptorName=(\w+)$`).FindSubmatch(text); match != nil {
			found[string(match[1])] = true
		}
	}
	for _, name := range socketNames {
		if !found[name] {
			t.Errorf("no socket unit is for %s", name)
		}
		delete(found, name)
	}
	if len(found) > 0 {
		t.Errorf("serve does not know the sockets %v", found)
	}
}

// TestImage does what the Dockerfile does, without Docker: it builds with the
// same line, and runs the binary as another user where there is no other file.
func TestImage(t *testing.T) {
	t.Parallel() // it waits most of the time
	testrun.OtherProcess(t)
	if os.Getuid() != 0 {
		t.Skip("only root can change the root directory")
	}
	dockerfile, err := os.ReadFile(deployment + "/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	directive := func(pattern string) string {
		t.Helper()
		match := regexp.MustCompile(`(?m)^` + pattern + `$`).FindSubmatch(dockerfile)
		if match == nil {
			t.Fatalf("the Dockerfile does not say %s", pattern)
		}
		return string(match[1])
	}
	directive(`(ARG VERSION)`)
	directive(`USER (65532:65532)`)
	directive(`HEALTHCHECK .* CMD \["/fleetcast", "(health)"\]`)
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("/bin/sh", "-c", strings.ReplaceAll(directive(`RUN (.*go build.*)`), "/out", root))
	build.Dir = "../.."
	build.Env = append(os.Environ(), "VERSION=v1.2.3-image") // as a build argument is
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	checkStatic(t, filepath.Join(root, "fleetcast"))

	var arguments []string
	for _, quoted := range regexp.MustCompile(`"[^"]*"`).FindAllString(directive(`CMD (\[.*\])`), -1) {
		arguments = append(arguments, strings.Trim(quoted, `"`))
	}
	clients := regexp.MustCompile(`:80\d\d$`).ReplaceAllString(directive(`ENV FLEETCAST_LISTEN=(.*)`), ":0")
	environment := []string{"FLEETCAST_LISTEN=" + clients, "FLEETCAST_PUBLISH=localhost:0", "FLEETCAST_ADMIN=localhost:0"}
	bare := runImage(t, root, environment, arguments...)
	if code := bare.exitCode(t); code != exitUsage || !strings.Contains(bare.err.String(), "FLEETCAST_CHANNELS='** subscribe=anyone'") {
		t.Errorf("without a word about clients: exit code %d: %s", code, bare.err)
	}
	environment = append(environment, "FLEETCAST_CHANNELS=** subscribe=anyone")
	gateway := runImage(t, root, environment, arguments...)
	admin := gateway.out.await(t, `look inside at +http://([^/]+)/`)[1]
	healthy := runImage(t, root, nil, "health", "--ready", "--admin="+admin)
	if code := healthy.exitCode(t); code != 0 {
		t.Errorf("health: exit code %d: %s", code, healthy.err)
	}
	gateway.signal(t, syscall.SIGTERM)
	if code := gateway.exitCode(t); code != 0 {
		t.Errorf("serve: exit code %d: %s", code, gateway.err)
	}
	open := runImage(t, root, []string{"FLEETCAST_PUBLISH=0.0.0.0:0"}, arguments...)
	if code := open.exitCode(t); code != exitUsage || !strings.Contains(open.err.String(), "FLEETCAST_INSECURE=publish") {
		t.Errorf("with an open publish port and no keys: exit code %d: %s", code, open.err)
	}
	said := runImage(t, root, nil, "version")
	if code := said.exitCode(t); code != 0 || !strings.HasPrefix(said.out.String(), "fleetcast v1.2.3-image (") {
		t.Errorf("version: exit code %d, it says %q", code, said.out)
	}
	unhealthy := runImage(t, root, nil, "health", "--admin="+admin)
	if code := unhealthy.exitCode(t); code != exitFailure {
		t.Errorf("health of nobody: exit code %d", code)
	}
}

// checkStatic makes sure that a program needs no library and no loader.
func checkStatic(t *testing.T, program string) {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP || segment.Type == elf.PT_DYNAMIC {
			t.Errorf("the program has a segment %v, so it is not static", segment.Type)
		}
	}
}

// runImage starts the program in a root directory that holds nothing else, as
// the user that the Dockerfile names, with that environment.
func runImage(t *testing.T, root string, environment []string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command("/fleetcast", args...), out: newOutput(), err: newOutput()}
	p.cmd.Dir, p.cmd.Env = "/", append([]string{}, environment...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.err
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     root,
		Credential: &syscall.Credential{Uid: 65532, Gid: 65532},
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill() })
	return p
}
