package main

import (
	"fmt"
	"strings"
	"testing"

	"fleetcast/codec/testrun"
)

// TestOutcome: of tests that passed only the packages' lines are printed, and secrets that
// are anywhere in their output are found.
func TestOutcome(t *testing.T) {
	output := func(test, text string) string {
		return fmt.Sprintf(`{"Action":"output","Package":"p","Test":%q,"Output":%q}`, test, text)
	}
	ended := func(test, action string) string {
		return fmt.Sprintf(`{"Action":%q,"Package":"p","Test":%q}`, action, test)
	}
	const started, ok = `{"Action":"start","Package":"p"}`, "ok  \tp\t0.1s\n"
	key := "fck_" + strings.Repeat("x", 43)
	for name, test := range map[string]struct {
		events []string
		want   string
		status int
	}{
		"passed": {[]string{
			started, output("TestA", "=== RUN   TestA\n"), output("TestA", "    a_test.go:1: a note\n"), output("TestA", "--- PASS: TestA (0.0s)\n"), ended("TestA", "pass"),
			output("", "2026/11/29 a log\n"), output("", "PASS\n"), output("", ok), ended("", "pass"),
		}, ok, 0},
		"no tests": {[]string{started, output("", "?   \tp\t[no test files]\n"), ended("", "skip")}, "?   \tp\t[no test files]\n", 0},
		"a test failed": {[]string{
			output("TestA", "=== RUN   TestA\n"), output("TestB", "=== RUN   TestB\n"), output("TestA", "    a_test.go:1: wrong\n"), output("TestB", "    b_test.go:1: a note\n"),
			output("TestA", "--- FAIL: TestA (0.0s)\n"), ended("TestA", "fail"), ended("TestB", "pass"), output("", "FAIL\tp\t0.1s\n"), ended("", "fail"),
		}, "    a_test.go:1: wrong\n--- FAIL: TestA (0.0s)\nFAIL\tp\t0.1s\n", 0},
		"crashed": {[]string{output("TestA", "panic: oh\n"), output("", "FAIL\tp\t0.1s\n"), ended("", "fail")}, "panic: oh\nFAIL\tp\t0.1s\n", 0},
		"crashed behind another test": {[]string{
			output("TestA", "=== RUN   TestA\n"), output("TestB", "    --- PASS: TestB/b (0.0s)\n"), output("TestB", "panic: oh\n"), output("TestB", "goroutine 1\n"), ended("TestB", "pass"),
			output("", "FAIL\tp\t0.1s\n"), ended("", "fail"),
		}, "panic: oh\ngoroutine 1\nFAIL\tp\t0.1s\n", 0},
		"killed": {[]string{output("TestA", "    a_test.go:1: a note\n")}, "    a_test.go:1: a note\n", 0},
		"not built": {[]string{
			`{"ImportPath":"p","Action":"build-output","Output":"p/a.go:1: wrong\n"}`, `{"ImportPath":"p","Action":"build-fail"}`, "no JSON",
		}, "p/a.go:1: wrong\nno JSON\n", 0},
		"a key in a note":                    {[]string{output("TestA", "    a_test.go:1: "+key[:20]), output("TestA", key[20:]+"\n"), ended("TestA", "pass")}, "is in the output of p TestA", 1},
		"a secret in a log":                  {[]string{output("", "http: panic serving: "+testrun.Secret+"x\n"), output("", ok), ended("", "pass")}, "panic serving", 1},
		"a token of a test that was skipped": {[]string{output("TestA/b", "eyJhbGciOiJIUzI1NiJ9.e30.x"), ended("TestA/b", "skip")}, "TestA/b", 1},
	} {
		var out strings.Builder
		status := run(strings.NewReader(strings.Join(test.events, "\n")+"\n"), &out)
		if status != test.status || status == 0 && out.String() != test.want || !strings.Contains(out.String(), test.want) {
			t.Errorf("%s: status %d, it prints\n%s", name, status, out.String())
		}
	}
}
