package options

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"

	"fleetcast/codec/jsonscan"
)

// AddKey puts the entry of a new key into a configuration file: behind the last one of its
// list, or with a list of its own at the end. All else in the file stays as it is, with
// comments. The file must be there, and its YAML right.
func AddKey(path string, n NewKey) error {
	text, err := readBounded(path, maxConfigFile)
	if err != nil {
		return err
	}
	next, err := withKey(text, n)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	// The file keeps its owner and its mode. It only grows, so nothing of the old text is
	// left behind the new one.
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write the configuration file: %w", err)
	}
	_, err = f.Write(next)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the configuration file: %w", err)
	}
	return nil
}

// withKey is the text of a configuration file with one more key.
func withKey(text []byte, n NewKey) ([]byte, error) {
	entry, err := KeyEntry(n)
	if err != nil {
		return nil, err
	}
	head, item, _ := strings.Cut(entry, "\n")
	list := strings.TrimSuffix(head, ":")
	if jsonscan.HasUTF16Mark(text) {
		return nil, errors.New("is UTF-16, by its byte order mark; save it as UTF-8")
	}
	names, err := keyNames(text, list)
	if err != nil {
		return nil, err
	}
	if name := n.name(); names[name] {
		return nil, fmt.Errorf("%s has a key with the name %s; give this one another with --name", list, shownKey(name))
	}
	if !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	lines := strings.SplitAfter(string(text), "\n")
	at, indent, found := endOfList(lines, list)
	switch {
	case !found && names != nil:
		return nil, fmt.Errorf("%s is not written as a list with an entry on lines of its own; write it so, or add this entry by hand:\n%s", list, item)
	case !found:
		at, item = len(lines), entry
	default:
		item = strings.ReplaceAll("\n"+strings.TrimSuffix(item, "\n"), "\n  ", "\n"+indent)[1:] + "\n"
	}
	next := strings.Join(lines[:at], "") + item + strings.Join(lines[at:], "")
	// Whatever the file looks like, the new one must have one more.
	if now, err := keyNames([]byte(next), list); err != nil || len(now) != len(names)+1 {
		return nil, fmt.Errorf("cannot find the end of %s; add this entry by hand:\n%s", list, item)
	}
	return []byte(next), nil
}

// keyNames are the names of a list's keys; nil if the file does not have the list.
func keyNames(text []byte, list string) (map[string]bool, error) {
	var file map[string]any
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("YAML: %s", yaml.FormatError(err, false, false))
	}
	value, given := file[list]
	if !given {
		return nil, nil
	}
	entries, ok := value.([]any)
	if !ok {
		entries = []any{value}
	}
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		switch e := e.(type) {
		case map[string]any:
			names[fmt.Sprint(e[keyName])] = true
		case string:
			name, _, _ := strings.Cut(e, " ")
			names[name] = true
		}
	}
	return names, nil
}

var (
	blankLine = regexp.MustCompile(`^\s*(#.*)?\n?$`)
	entryLine = regexp.MustCompile(`^( *)- `)
)

// endOfList finds the line behind the last entry of a list, and how far its entries are
// indented. It finds none if the list does not have its entries on lines of their own.
func endOfList(lines []string, list string) (end int, indent string, found bool) {
	head := regexp.MustCompile(`^["']?` + regexp.QuoteMeta(list) + `["']?\s*:\s*(#.*)?\n$`)
	inside := false
	for i, line := range lines {
		entry := entryLine.FindStringSubmatch(line)
		switch {
		case head.MatchString(line):
			inside = true
		case !inside || blankLine.MatchString(line):
		case entry == nil && !strings.HasPrefix(line, " "):
			return end, indent, found
		case entry == nil && !found:
			return 0, "", false
		case !found:
			end, indent, found = i+1, entry[1], true
		default:
			end = i + 1
		}
	}
	return end, indent, found
}
