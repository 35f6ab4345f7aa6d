package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"fleetcast/codec/testrun"
)

const readmePath = "../../README.md"

// readmeBlocks returns the fenced blocks of the README in a language, in order.
func readmeBlocks(t *testing.T, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(readmePath)
	if err != nil {
		t.Fatal(err)
	}
	fenced := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$")
	for _, match := range fenced.FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, match[1])
	}
	if len(blocks) == 0 {
		t.Fatalf("the README has no block in %q", language)
	}
	return blocks
}

// readmeBlock returns the one block of the README that contains a text.
func readmeBlock(t *testing.T, language, containing string) string {
	t.Helper()
	for _, block := range readmeBlocks(t, language) {
		if strings.Contains(block, containing) {
			return block
		}
	}
	t.Fatalf("the README has no block in %q that contains %q", language, containing)
	return ""
}

// shell runs a command line of the README. Its go run of the command is this
// test's binary, and its addresses are those given.
func shell(t *testing.T, dir, line string, addresses map[string]string) (output string, err error) {
	t.Helper()
	line = strings.ReplaceAll(line, "go run ./cmd/fleetcast", testBinary(t))
	for from, to := range addresses {
		line = strings.ReplaceAll(line, from, to)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asCommand+"=1")
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// TestReadmePublishes runs each line with which the README publishes.
func TestReadmePublishes(t *testing.T) {
	_, url, publish, admin := startGateway(t)
	subscriber := start(t, nil, "subscribe", "--url="+url, "news")
	subscriber.err.await(t, "subscribed")
	_, port, _ := strings.Cut(publish, ":")
	addresses := map[string]string{
		"publish news":      "publish --to " + publish + " news",
		"localhost 8082":    "localhost " + port,
		"redis-cli -p 8082": "redis-cli -p " + port,
		"localhost:8081":    admin,
	}
	offset := 0
	for line := range strings.Lines(readmeBlock(t, "sh", "publish news")) {
		line = strings.TrimSpace(line)
		if program := missingProgram(line); program != "" {
			t.Logf("%s is not installed, so this is not tested: %s", program, line)
			continue
		}
		output, err := shell(t, "", line, addresses)
		if err != nil {
			t.Errorf("%s: %v\n%s", line, err, output)
			continue
		}
		offset++
		subscriber.out.await(t, fmt.Sprintf(`\{"type":"event","channel":"news","offset":%d,"data":\{"a":1\}\}`, offset))
	}
	if offset == 0 {
		t.Error("no line was tried")
	}
}

// missingProgram returns the program of a command line that is not installed,
// or "".
func missingProgram(line string) string {
	for _, part := range strings.Split(line, " | ") {
		program, _, _ := strings.Cut(part, " ")
		if _, err := exec.LookPath(program); err != nil {
			return program
		}
	}
	return ""
}

// TestReadmeModule builds the README's Go program as a module of its own, in the
// way that the README says, and publishes with it.
func TestReadmeModule(t *testing.T) {
	t.Parallel() // it waits most of the time
	testrun.OtherProcess(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	_, url, publish, _ := startGateway(t)
	subscriber := start(t, nil, "subscribe", "--url="+url, "news")
	subscriber.err.await(t, "subscribed")

	dir := t.TempDir()
	program := readmeBlock(t, "go", "package main")
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(strings.ReplaceAll(program, "localhost:8082", publish)), 0o644); err != nil {
		t.Fatal(err)
	}
	here := map[string]string{"../fleetcast": root}
	lines := "go mod init example.com/service\n" + readmeBlock(t, "sh", "go mod edit") + "go run .\n"
	for line := range strings.Lines(lines) {
		output, err := shell(t, dir, strings.TrimSpace(line), here)
		if err != nil && strings.Contains(output, "dial tcp") && strings.HasPrefix(line, "go mod tidy") {
			t.Skipf("the module proxy cannot be reached: %s", output)
		}
		if err != nil {
			t.Fatalf("%s%v\n%s", line, err, output)
		}
	}
	subscriber.out.await(t, `"offset":2,"data":\{"a":2\}`)
}
