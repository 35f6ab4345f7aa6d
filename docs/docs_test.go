package docs_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// page is a file of Markdown.
type page struct {
	path string // from the top of the repository
	text string
}

// pages returns the README and all pages of this folder and those in it.
func pages(t *testing.T) (all []page) {
	t.Helper()
	paths, err := filepath.Glob(root + "/docs/*.md")
	if err != nil || len(paths) < 10 {
		t.Fatalf("pages %v, %v", paths, err)
	}
	below, err := filepath.Glob(root + "/docs/*/*.md")
	if err != nil || len(below) == 0 {
		t.Fatalf("pages in folders %v, %v", below, err)
	}
	for _, path := range append(slices.Concat(paths, below), root+"/README.md", root+"/gateway/web/README.md") {
		all = append(all, page{strings.TrimPrefix(filepath.ToSlash(path), root+"/"), read(t, path)})
	}
	return all
}

// part is a line of a page's prose (headings and tables too) or of a block of code.
type part struct {
	number int
	text   string
	code   bool
	shown  bool // what a program prints: a block of the language text
}

// lines tells prose from code. Code is fenced, or indented by four spaces behind an
// empty line or more code.
func (p page) lines() (parts []part) {
	fenced, shown, wasCode, wasEmpty := false, false, false, true
	for i, line := range strings.Split(p.text, "\n") {
		code := false
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			fenced = !fenced
			shown = fenced && strings.TrimSpace(line) == "```text"
		case fenced:
			code = true
		case strings.HasPrefix(line, "    "):
			code = wasCode || wasEmpty
		}
		if wasEmpty = strings.TrimSpace(line) == ""; !wasEmpty || fenced {
			parts = append(parts, part{i + 1, line, code, shown})
			wasCode = code
		}
	}
	return parts
}

var (
	links     = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	headings  = regexp.MustCompile(`^#{1,6} +(.*?) *$`)
	spans     = regexp.MustCompile("`([^`]+)`")
	noAnchor  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	inSources = regexp.MustCompile(`docs/[\w/-]+\.(?:md|yaml|json|conf|service|socket)(?:#[\w-]+)?`)
)

// anchors are the names of a page's headings, as GitHub makes them.
func (p page) anchors() map[string]bool {
	names := map[string]bool{}
	for _, line := range p.lines() {
		match := headings.FindStringSubmatch(line.text)
		if match == nil || line.code {
			continue
		}
		text := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(match[1], "$1")
		name := strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(text), ""), " ", "-")
		for unique, n := name, 1; ; n++ {
			if !names[unique] {
				names[unique] = true
				break
			}
			unique = fmt.Sprintf("%s-%d", name, n)
		}
	}
	return names
}

// wrongLink says what is wrong with a link of a page to a file, a heading, or both.
func wrongLink(from page, link string) error {
	file, anchor, _ := strings.Cut(link, "#")
	if file == "" {
		if !from.anchors()[anchor] {
			return fmt.Errorf("there is no heading %s", link)
		}
		return nil
	}
	target := filepath.Join(filepath.Dir(from.path), file)
	text, err := os.ReadFile(filepath.Join(root, target))
	if info, statErr := os.Stat(filepath.Join(root, target)); statErr == nil && info.IsDir() && anchor == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s leads nowhere: %w", link, err)
	}
	if anchor != "" && !(page{target, string(text)}).anchors()[anchor] {
		return fmt.Errorf("%s: %s has no heading #%s", link, target, anchor)
	}
	return nil
}

// wrongLinks returns what is wrong with the links of a page.
func wrongLinks(p page) (errs []error) {
	for _, line := range p.lines() {
		if line.code {
			continue
		}
		for _, match := range links.FindAllStringSubmatch(spans.ReplaceAllString(line.text, "`"), -1) {
			if link := match[1]; !strings.Contains(link, "://") && !strings.HasPrefix(link, "mailto:") {
				if err := wrongLink(p, link); err != nil {
					errs = append(errs, fmt.Errorf("%s:%d: %w", p.path, line.number, err))
				}
			}
		}
	}
	return errs
}

// TestLinks checks that every link to a file or a heading leads somewhere, and that the
// index has every page.
func TestLinks(t *testing.T) {
	index := read(t, "index.md")
	for _, p := range pages(t) {
		for _, err := range wrongLinks(p) {
			t.Error(err)
		}
		if name, ok := strings.CutPrefix(p.path, "docs/"); ok && name != "index.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/index.md does not lead to %s", name)
		}
	}
	planted := page{"docs/planted.md", "# Here\n[a](#here) [b](index.md#reference)\n[c](nowhere.md) [d](index.md#nowhere)\n[e](#there)\n\n    [f](code.md)\n"}
	if errs := wrongLinks(planted); len(errs) != 3 {
		t.Errorf("of three wrong links these are found: %v", errs)
	}
}

// TestSourcesNameDocs checks that the pages and headings exist that sources, log lines
// and configurations name.
func TestSourcesNameDocs(t *testing.T) {
	kinds := []string{".go", ".js", ".yaml", ".yml", ".json", ".html", ".tmpl", ".service", ".conf"}
	found := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && (name == ".git" || name == "node_modules" || name == "testdata") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !slices.Contains(kinds, filepath.Ext(path)) {
			return nil
		}
		for i, line := range strings.Split(read(t, path), "\n") {
			for _, name := range inSources.FindAllString(line, -1) {
				if strings.HasPrefix(name, "docs/planted") {
					continue // by the tests of this file
				}
				found++
				if err := wrongLink(page{path: "README.md"}, name); err != nil {
					t.Errorf("%s:%d: %v", strings.TrimPrefix(path, root+"/"), i+1, err)
				}
			}
		}
		return nil
	})
	if err != nil || found < 10 {
		t.Errorf("%d names of pages are found, %v", found, err)
	}
}

// knownOptions are the options of each command: "fleetcast serve", "fleetload fanout".
type knownOptions map[string]map[string]bool

var optionName = regexp.MustCompile(`--[a-z][a-z0-9-]*`)

// askOptions asks the programs for the options of all of their commands.
func askOptions(t *testing.T) knownOptions {
	t.Helper()
	known := knownOptions{}
	helpOf := func(args ...string) string {
		output, err := exec.Command(program(t, args[0]), append(slices.Clone(args[1:]), "--help")...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v --help: %v\n%s", args, err, output)
		}
		return string(output)
	}
	for _, name := range []string{"fleetcast", "fleetload"} {
		general := helpOf(name)
		_, list, _ := strings.Cut(general, "\nCommands:\n")
		commands := regexp.MustCompile(`(?m)^  ([a-z]+) `).FindAllStringSubmatch(list, -1)
		if len(commands) < 5 {
			t.Fatalf("%s has the commands %v", name, commands)
		}
		for _, command := range commands {
			options := map[string]bool{}
			flags := regexp.MustCompile(`(?m)^ *(?:-\w, +)?(--[a-z][a-z0-9-]*)`)
			help := helpOf(name, command[1])
			for _, nested := range regexp.MustCompile(`(?m)^  `+command[1]+` ([a-z]+) `).FindAllStringSubmatch(help, -1) {
				help += helpOf(name, command[1], nested[1])
			}
			for _, match := range flags.FindAllStringSubmatch(help, -1) {
				options[match[1]] = true
			}
			known[name+" "+command[1]] = options
		}
	}
	known["fleetcast"] = known["fleetcast serve"] // the default command
	return known
}

// has says whether any of the commands has the option.
func (k knownOptions) has(option string) bool {
	for _, options := range k {
		if options[option] {
			return true
		}
	}
	return false
}

// otherOptions are options of other programs that pages name on their own: Docker's and
// Deno's, Node's and redis-cli's; and a hidden one of fleetload.
var otherOptions = []string{"--ulimit", "--stop-timeout", "--sysctl", "--network", "--allow-net", "--experimental-websocket", "--pipe", "--server-pid"}

// ours matches one of our command lines, wherever it begins in a line.
var ours = regexp.MustCompile(`(?:^|[\s(])(?:go run \./cmd/|\./|/usr/local/bin/)?(fleetcast|fleetload)((?: [^|;&>()#]*)?)`)

// wrongOptions returns what a page names and does not exist: options in its prose, and
// the commands and options of command lines in prose and code.
func (k knownOptions) wrongOptions(p page) (errs []error) {
	wrong := func(line part, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s:%d: %w", p.path, line.number, fmt.Errorf(format, args...)))
	}
	for _, line := range p.lines() {
		if line.shown {
			continue
		}
		texts := []string{line.text}
		if !line.code {
			texts = nil
			for _, span := range spans.FindAllStringSubmatch(line.text, -1) {
				texts = append(texts, span[1])
			}
		}
		for _, text := range texts {
			text = strings.TrimPrefix(strings.TrimSpace(text), "$ ")
			if match := ours.FindStringSubmatch(text); match != nil && k.isCommandLine(text, match) {
				if err := k.wrongCommand(match[1], strings.Fields(match[2])); err != nil {
					wrong(line, "%q: %w", text, err)
				}
				continue
			}
			for _, option := range optionName.FindAllString(text, -1) {
				if !line.code && strings.HasPrefix(text, "--") && !k.has(option) && !slices.Contains(otherOptions, option) {
					wrong(line, "no command has the option %s", option)
				}
			}
		}
	}
	return errs
}

// isCommandLine tells a command line, on its own or behind that of another program, from
// a line that has a program's name in it.
func (k knownOptions) isCommandLine(text string, match []string) bool {
	command, _, _ := strings.Cut(strings.TrimSpace(match[2]), " ")
	return strings.HasPrefix(text, strings.TrimSpace(match[0])) || k[match[1]+" "+command] != nil
}

// wrongCommand says which command or option of a command line does not exist.
func (k knownOptions) wrongCommand(name string, args []string) error {
	command := name
	if len(args) > 0 && regexp.MustCompile(`^[a-z]+$`).MatchString(args[0]) {
		command += " " + args[0]
	}
	options, ok := k[command]
	if !ok {
		if len(args) > 0 && args[0] == "SCENARIO" || len(args) == 0 {
			return nil
		}
		if !strings.HasPrefix(args[0], "--help") {
			return fmt.Errorf("there is no %s", command)
		}
	}
	for _, arg := range args {
		if option := optionName.FindString(arg); option != "" && strings.HasPrefix(strings.TrimLeft(arg, "["), option) &&
			!options[option] && option != "--help" && option != "--server-pid" {
			return fmt.Errorf("%s has no %s", command, option)
		}
	}
	return nil
}

// TestOptions checks that every option, command and command line that the pages name
// exists.
func TestOptions(t *testing.T) {
	known := askOptions(t)
	for _, p := range pages(t) {
		for _, err := range known.wrongOptions(p) {
			t.Error(err)
		}
	}
	planted := page{"docs/planted.md", "`--max-clients` and `--max-cleints`\n`fleetcast serve --max-clients 3 --nothing`\n`fleetcast publish --max-clients`\n\n" +
		"    fleetcast srve\n    $ fleetload fanout --clients 3 --cleints 3\n    ./fleetcast serve --listen :0\n"}
	if errs := known.wrongOptions(planted); len(errs) != 5 {
		t.Errorf("of five wrong names these are found: %v", errs)
	}
}

// placeholder is a word in capitals in the place of a value, or part of a synopsis.
var placeholder = regexp.MustCompile(`\b[A-Z]{1,}(\b|:)|[\[\]|]|\$\(`)

// commandLines returns our command lines in the code of a page that have no
// placeholders, as arguments of a shell.
func commandLines(p page) (all []part) {
	start := regexp.MustCompile(`^(?:\$ )?(?:go run \./cmd/|\./)?((?:fleetcast|fleetload)(?: .*)?)$`)
	for _, line := range p.lines() {
		match := start.FindStringSubmatch(strings.TrimSpace(line.text))
		if !line.code || line.shown || match == nil || placeholder.MatchString(strings.Join(regexp.MustCompile(`'[^']*'`).Split(match[1], -1), "")) {
			continue
		}
		text := regexp.MustCompile(` +(#|&$|> ).*`).ReplaceAllString(match[1]+" ", "")
		all = append(all, part{line.number, strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "&")), true, false})
	}
	return all
}

// TestCommandLines has the programs parse each command line of the pages' code, with
// --help at its end, so that nothing is done.
func TestCommandLines(t *testing.T) {
	t.Parallel() // it waits most of the time
	dir := filepath.Dir(program(t, "fleetcast"))
	seen := map[string]string{}
	for _, p := range pages(t) {
		for _, line := range commandLines(p) {
			seen[line.text] = fmt.Sprintf("%s:%d", p.path, line.number)
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d command lines are found", len(seen))
	}
	parse := func(text string) (string, error) {
		command := exec.Command("sh", "-c", text+" --help")
		command.Dir, command.Env = root, append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		output, err := command.CombinedOutput()
		return string(output), err
	}
	for _, text := range slices.Sorted(maps.Keys(seen)) {
		if output, err := parse(text); err != nil || !strings.HasPrefix(output, "Usage: ") {
			t.Errorf("%s: %s: %v\n%.300s", seen[text], text, err, output)
		}
	}
	if output, err := parse("fleetcast serve --max-clients many"); err == nil {
		t.Errorf("a wrong value passes: %s", output)
	}
}
