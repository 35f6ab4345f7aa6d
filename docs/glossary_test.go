package docs_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// glossaryRow is a row of the table of words: the word, its meaning, its names.
	glossaryRow = regexp.MustCompile(`(?m)^\| ([a-z][a-z, ]*) \| ([^|]+) \| ([^|]*)\|$`)
	// declared is a declaration of a name in Go, or a line that begins with it.
	declared = regexp.MustCompile(`(?m)^(?:type |func (?:\([^)]*\) )?|\t)(\w+)`)
)

// declaredNames returns the names of types, functions, methods and fields in the
// gateway's code, without tests.
func declaredNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, dir := range []string{"gateway", "codec", "poller"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") {
				for _, match := range declared.FindAllStringSubmatch(read(t, path), -1) {
					names[match[1]] = true
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// wrongWords returns what is wrong with a glossary: words out of order or twice, and
// names that the code does not declare.
func wrongWords(rows [][]string, names map[string]bool) (errs []error) {
	for i, row := range rows {
		if i > 0 && rows[i-1][1] >= row[1] {
			errs = append(errs, fmt.Errorf("%q stands behind %q", row[1], rows[i-1][1]))
		}
		for _, name := range spans.FindAllStringSubmatch(row[3], -1) {
			if !names[name[1]] {
				errs = append(errs, fmt.Errorf("%q: the code has no %s", row[1], name[1]))
			}
		}
	}
	return errs
}

// TestGlossary checks the words that open docs/design.md against the code.
func TestGlossary(t *testing.T) {
	_, words, _ := strings.Cut(read(t, root+"/docs/design.md"), "| --- | --- | --- |\n")
	words, _, _ = strings.Cut(words, "\n## ")
	rows := glossaryRow.FindAllStringSubmatch(words, -1)
	if len(rows) < 30 {
		t.Errorf("%d words are found", len(rows))
	}
	names := declaredNames(t)
	for _, err := range wrongWords(rows, names) {
		t.Error(err)
	}
	planted := "| event | a | `Event` |\n| event | a | |\n| epoch | a | `Epoc` |\n"
	if errs := wrongWords(glossaryRow.FindAllStringSubmatch(planted, -1), names); len(errs) != 3 {
		t.Errorf("of three mistakes these are found: %v", errs)
	}
}
