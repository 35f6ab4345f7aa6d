package options

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"fleetcast/gateway/keys"
)

// entry is what an element of a list has that is a mapping in the file. As a text it is
// its first member's value, if it has that, and key=value for the rest; a value with
// blanks stands in quotes.
type entry struct {
	given [][2]string // as the file has them
	files []string    // that hold secrets
	exact string      // tells apart what files and variables had
}

// note keeps a member as it was given.
func (e *entry) note(name, value string) { e.given = append(e.given, [2]string{name, value}) }

func (e entry) secretFiles() []string { return e.files }
func (e entry) fingerprint() string   { return fmt.Sprint(e.given, " ", e.exact) }

// hiddenQuery stands for the query of a URL, in which there may be a secret.
const hiddenQuery = "?" + hidden

// members are those that may be shown.
func (e entry) members() [][2]string {
	shown := slices.Clone(e.given)
	for i, m := range shown {
		if before, _, found := strings.Cut(m[1], "?"); found && (m[0] == memberURL || m[0] == memberJWKS) {
			shown[i][1] = before + hiddenQuery
		}
	}
	return shown
}

// checkQuery refuses a URL as members shows it.
func checkQuery(url string) error {
	if strings.HasSuffix(url, hiddenQuery) {
		return fmt.Errorf("ends with %s, as fleetcast config shows a query; write what stands there", hidden)
	}
	return nil
}

// elsewhere reads a member that must not stand in the configuration itself, which more
// people see, or which it makes hard to read.
func (e *entry) elsewhere(value string) (string, error) {
	var s Secret
	if err := s.UnmarshalText([]byte(value)); err != nil {
		return "", err
	}
	if s.reference == "" {
		return "", errors.New("write file:PATH or env:NAME, where it is; it must not stand in the configuration itself")
	}
	e.exact += s.fingerprint() + " "
	return s.Value(), nil
}

// secret is elsewhere for what nobody else may read.
func (e *entry) secret(value string) (string, error) {
	text, err := e.elsewhere(value)
	e.files = append(e.files, Secret{reference: value}.secretFiles()...)
	return text, err
}

// oneLine refuses a value that its entry's text cannot have.
func oneLine(name, value string) error {
	if strings.ContainsAny(value, "\"\r\n") {
		return fmt.Errorf("%s: a quote or the end of a line cannot be in it", shownKey(name))
	}
	return nil
}

// text is the entry as a text. first is the member that stands at its start without its
// name.
func (e entry) text(first string) string { return memberWords(e.given, first) }

// shownText is text as it may be shown.
func (e entry) shownText(first string) string { return memberWords(e.members(), first) }

func memberWords(members [][2]string, first string) string {
	var words []string
	for _, m := range members {
		value := m[1]
		if value == "" || strings.ContainsAny(value, " \t") {
			value = `"` + value + `"`
		}
		if m[0] == first {
			words = slices.Insert(words, 0, value)
		} else {
			words = append(words, m[0]+"="+value)
		}
	}
	return strings.Join(words, " ")
}

// readEntry reads the text of an entry into its members. what is its name in errors.
func readEntry(text, what, first string, members []string, into mappingValue) error {
	words, err := splitWords(text)
	if err != nil || len(words) == 0 {
		return err
	}
	seen := []string{}
	for i, word := range words {
		name, value, found := strings.Cut(word, "=")
		if i == 0 && (!found || !slices.Contains(members, name)) {
			name, value, found = first, word, true
		}
		switch {
		case !found:
			return fmt.Errorf("%s in %s has no =; write a value with blanks in quotes: %s=\"a b\"", Shown([]byte(keys.Shown(word))), what, members[len(members)-1])
		case slices.Contains(seen, name):
			return fmt.Errorf("%s is given twice in %s", shownKey(name), what)
		}
		if err := into.setMember(name, value); err != nil {
			return err
		}
		seen = append(seen, name)
	}
	return into.checkMembers()
}

// noMember refuses a key that an entry cannot have.
func noMember(name, what string, members []string) error {
	if near := Nearest(strings.ToLower(strings.ReplaceAll(name, "_", "-")), members); near != "" {
		return fmt.Errorf("%s: %s has no such entry; did you mean %s?", shownKey(keys.Shown(name)), what, near)
	}
	last := len(members) - 1
	return fmt.Errorf("%s: %s has no such entry; there are %s and %s", shownKey(keys.Shown(name)), what, strings.Join(members[:last], ", "), members[last])
}

// splitWords splits a text at blanks outside of quotes, and removes the quotes.
func splitWords(text string) (words []string, err error) {
	var word strings.Builder
	quoted, begun := false, false
	for _, c := range text {
		switch {
		case c == '"':
			quoted, begun = !quoted, true
		case (c == ' ' || c == '\t') && !quoted:
			if begun {
				words = append(words, word.String())
				word.Reset()
			}
			begun = false
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if quoted {
		return nil, errors.New("a quote is not closed")
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}
