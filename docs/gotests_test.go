package docs_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// goTests is a command line of go test, in prose or code.
	goTests = regexp.MustCompile("go test (-[^`\n>]*)")
	// goTestFunctions are the tests, benchmarks and fuzz targets of a file.
	goTestFunctions = regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w*)\(`)
)

// functionsIn returns what go test may run in a package, or with ... below it too.
func functionsIn(t *testing.T, name string) (functions []string) {
	t.Helper()
	patterns := []string{"*_test.go"}
	if strings.HasSuffix(name, "...") {
		patterns = append(patterns, "*/*_test.go")
	}
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(root, strings.TrimSuffix(name, "..."), pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			for _, match := range goTestFunctions.FindAllStringSubmatch(read(t, file), -1) {
				functions = append(functions, match[1])
			}
		}
	}
	return functions
}

// wrongGoTest says what is wrong with arguments of go test: a package without tests, or
// a pattern that matches none of them.
func wrongGoTest(t *testing.T, arguments string) error {
	t.Helper()
	var patterns, functions []string
	args := strings.Fields(strings.NewReplacer("'", "", `"`, "").Replace(arguments))
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "./"):
			found := functionsIn(t, arg)
			if functions = append(functions, found...); len(found) == 0 {
				return fmt.Errorf("%s has no tests", arg)
			}
		case i > 0 && (args[i-1] == "-run" || args[i-1] == "-bench" || args[i-1] == "-fuzz") && arg != "^$":
			patterns = append(patterns, arg)
		}
	}
	for _, pattern := range patterns {
		if !regexp.MustCompile(`(?m)` + pattern).MatchString(strings.Join(functions, "\n")) {
			return fmt.Errorf("no function matches %s", pattern)
		}
	}
	return nil
}

// TestGoTests checks that the tests and benchmarks exist that the pages name.
func TestGoTests(t *testing.T) {
	found := 0
	for _, p := range pages(t) {
		for _, match := range goTests.FindAllStringSubmatch(p.text, -1) {
			found++
			if err := wrongGoTest(t, match[1]); err != nil {
				t.Errorf("%s: go test %s: %v", p.path, match[1], err)
			}
		}
	}
	if found < 15 {
		t.Errorf("%d commands are found", found)
	}
	for _, planted := range []string{"-run TestNothingOfTheKind ./docs", "-run '^$' -bench GoTests ./docs/none"} {
		if wrongGoTest(t, planted) == nil {
			t.Errorf("go test %s passes", planted)
		}
	}
}
