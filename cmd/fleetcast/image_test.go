package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// checkImage is config --check with the variables of the Dockerfile, further ones and flags.
func checkImage(t *testing.T, variables []string, flags ...string) (code int, says string) {
	t.Helper()
	text, err := os.ReadFile(deployment + "/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testBinary(t), append([]string{"config", "--check"}, flags...)...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	for _, set := range regexp.MustCompile(`(?m)^ENV (.*)$`).FindAllStringSubmatch(string(text), -1) {
		cmd.Env = append(cmd.Env, set[1])
	}
	cmd.Env = append(cmd.Env, variables...)
	output, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(output), "descriptor limit") { // of this machine
		return 0, ""
	}
	return cmd.ProcessState.ExitCode(), string(output)
}

// TestWaysOutOfTheImage does what the error says that the image prints without any variable.
func TestWaysOutOfTheImage(t *testing.T) {
	t.Parallel() // it waits most of the time
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(testSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	code, says := checkImage(t, nil)
	ways := regexp.MustCompile(`(?m)^  [^:\n]*: ((FLEETCAST_\w+)=('[^'\n]*'|\S*[^\s,]))`).FindAllStringSubmatch(says, -1)
	if code != exitUsage || len(ways) != 3 {
		t.Fatalf("exit code %d and %d ways out:\n%s", code, len(ways), says)
	}
	for _, way := range ways {
		value := strings.NewReplacer("'", "", "file:PATH", "file:"+secret, "localhost:PORT", "localhost:8080").Replace(way[3])
		if code, says := checkImage(t, []string{way[2] + "=" + value}); code != 0 {
			t.Errorf("with %s=%s: exit code %d: %s", way[2], value, code, says)
		}
	}
}

// TestContainerCommands checks the commands of deploying.md that run the image, by its
// variables, and by those and the arguments that they give.
func TestContainerCommands(t *testing.T) {
	t.Parallel() // it waits most of the time
	page, err := os.ReadFile(deployment + "/../deploying.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.ReplaceAll(string(page), "\\\n", "")
	served := 0
	for _, command := range regexp.MustCompile(`(?m)^    (docker run .* fleetcast)( .*)?$`).FindAllStringSubmatch(lines, -1) {
		args := strings.Fields(command[2])
		if len(args) > 0 {
			if args[0] != "serve" {
				continue
			}
			args = args[1:]
		}
		served++
		var variables []string
		for _, set := range regexp.MustCompile(` -e (\w+)(?:=('[^']*'|\S+))?`).FindAllStringSubmatch(command[1], -1) {
			value := strings.ReplaceAll(strings.Trim(set[2], "'"), "SHA256", anyDigest)
			if set[2] == "" {
				value = testSecret // what the shell has for it
			}
			variables = append(variables, set[1]+"="+value)
		}
		if code, says := checkImage(t, variables, args...); code != 0 {
			t.Errorf("%s: exit code %d: %s", command[0], code, says)
		}
	}
	if served < 3 {
		t.Errorf("%d commands start the gateway", served)
	}
}
