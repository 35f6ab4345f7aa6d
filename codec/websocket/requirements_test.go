package websocket_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// musts6455 is how often each section of RFC 6455 says MUST or MUST NOT in a
// requirement. Section 2, which defines the words, and its quotation of them are
// left out.
var musts6455 = map[string]int{
	"3": 2, "4.1": 39, "4.2.1": 1, "4.2.2": 10, "4.3": 1, "4.4": 1,
	"5.1": 4, "5.2": 10, "5.3": 4, "5.4": 10, "5.5": 2, "5.5.1": 6, "5.5.2": 1, "5.6": 1, "5.8": 1,
	"6.1": 8, "6.2": 5,
	"7.1.2": 1, "7.1.7": 3, "7.2.1": 2, "7.2.2": 1, "7.4.1": 3,
	"8.1": 1, "9": 2, "9.1": 5,
	"10.3": 1, "10.4": 1, "10.6": 1, "10.7": 1,
	"11.1.1": 2, "11.1.2": 2, "11.3.1": 1, "11.3.2": 1, "11.3.3": 1, "11.3.4": 1, "11.3.5": 1,
}

// testedPackages are those whose tests the table names, by its names for them.
var testedPackages = map[string]string{
	"websocket": ".", "deflate": "../deflate", "gateway": "../../gateway", "echo": "../../gateway/echo", "interop": "../../gateway/interop",
	"loadtest": "../../loadtest", "fleetcast": "../../cmd/fleetcast",
}

// requirement is a row of a table.
type requirement struct {
	line                        int
	section, what, binds, proof string
	musts                       int
}

// requirements reads the table of a document, "6455" for RFC 6455.
func requirements(t *testing.T, document string) (rows []requirement) {
	t.Helper()
	text, err := os.ReadFile("rfc" + document + ".md")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| § ") || strings.HasPrefix(line, "| --- ") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 5 || slices.Contains(cells, "") {
			t.Errorf("line %d: not five cells with something in each: %s", i+1, line)
			continue
		}
		n, err := strconv.Atoi(cells[1])
		if err != nil || n < 0 {
			t.Errorf("line %d: %q is not a number of MUSTs", i+1, cells[1])
		}
		rows = append(rows, requirement{i + 1, cells[0], cells[2], cells[3], cells[4], n})
	}
	return rows
}

var (
	sectionForm = regexp.MustCompile(`^([3-9]|1[01])(\.[1-9]\d?){0,3}$`)
	proofForm   = regexp.MustCompile("^`[a-z]+\\.Test\\w+`( `[a-z]+\\.Test\\w+`)*$")
)

// TestRFC6455 checks the table of requirements: it has every MUST, and a test
// that names the section proves each that binds anyone.
func TestRFC6455(t *testing.T) {
	counted := checkTable(t, "6455")
	maps.DeleteFunc(counted, func(_ string, n int) bool { return n == 0 })
	for section, n := range counted {
		if musts6455[section] != n {
			t.Errorf("section %s: the table has %d MUSTs, RFC 6455 has %d", section, n, musts6455[section])
		}
	}
	for section := range musts6455 {
		if counted[section] == 0 {
			t.Errorf("section %s: the table has no MUST", section)
		}
	}
}

// TestRFC7692 checks the table of compression: a test that names the section
// proves each requirement that binds anyone.
func TestRFC7692(t *testing.T) { checkTable(t, "7692") }

// checkTable checks the table of a document and counts its MUSTs by section.
func checkTable(t *testing.T, document string) (counted map[string]int) {
	t.Helper()
	rows := requirements(t, document)
	comments := testComments(t)
	counted = map[string]int{}
	for _, r := range rows {
		if !sectionForm.MatchString(r.section) {
			t.Errorf("line %d: %q is not a section", r.line, r.section)
		}
		counted[r.section] += r.musts
		switch r.binds {
		case "nobody":
			if strings.Contains(r.proof, "`") {
				t.Errorf("line %d: binds nobody, and yet there are tests", r.line)
			}
		case "server", "client", "both":
			if !proofForm.MatchString(r.proof) {
				t.Errorf("line %d: %q is not a list of tests", r.line, r.proof)
				continue
			}
			for name := range strings.FieldsSeq(strings.ReplaceAll(r.proof, "`", "")) {
				checkProof(t, document, r, name, comments)
			}
		default:
			t.Errorf("line %d: binds %q, which is nobody the table knows", r.line, r.binds)
		}
	}
	if !slices.IsSortedFunc(rows, func(a, b requirement) int { return slices.Compare(numbers(a.section), numbers(b.section)) }) {
		t.Error("the rows are not in the order of the sections")
	}
	return counted
}

// checkProof looks a test up, and the section behind the document's name in its
// comment.
func checkProof(t *testing.T, document string, r requirement, name string, comments map[string]string) {
	t.Helper()
	comment, ok := comments[name]
	if !ok {
		t.Errorf("line %d: there is no test %s", r.line, name)
		return
	}
	var sections string
	for part := range strings.SplitSeq(strings.Join(strings.Fields(comment), " "), "RFC ") {
		if behind, ok := strings.CutPrefix(part, document); ok {
			sections += behind
		}
	}
	// Not as a part of another number.
	names := regexp.MustCompile(`[^\d.]` + regexp.QuoteMeta(r.section) + `(\.?[^\d.]|\.?$)`)
	if !names.MatchString(sections) {
		t.Errorf("line %d: %s does not name section %s", r.line, name, r.section)
	}
}

func numbers(section string) (all []int) {
	for part := range strings.SplitSeq(section, ".") {
		n, _ := strconv.Atoi(part)
		all = append(all, n)
	}
	return all
}

// testComments are the comments of the tests, by package and name.
func testComments(t *testing.T) map[string]string {
	t.Helper()
	comments := map[string]string{}
	for name, directory := range testedPackages {
		files, err := filepath.Glob(filepath.Join(directory, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", directory, len(files), err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range parsed.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
					comments[name+"."+f.Name.Name] = f.Doc.Text()
				}
			}
		}
	}
	return comments
}
