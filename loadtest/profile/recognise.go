package profile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"fleetcast/codec/jsonscan"
)

// matcher tells messages apart. It is immutable.
type matcher struct {
	rules []rule // in the order in which they are tried
	paths paths  // those of all rules
}

// The keys of rules: those by which a message is recognised, and those that belong to its kind.
var (
	recognition = []string{"when", "prefix", "equals", "pattern"}
	fieldsOf    = map[Kind][]string{
		Event:      {"channel", "data", "offset"},
		Subscribed: {"channel", "offset", "epoch", "recovered", "latest", "lost", "missed"},
		Gap:        {"channel", "from", "to"},
		Refused:    {"text"},
		Ping:       {"answer"},
	}
)

// parse reads the rule for messages of a kind, if it is there.
func (m *matcher) parse(e entry, kind Kind) rule {
	r := rule{
		kind: kind, at: e, line: e.line, channel: none, data: none, offset: none, from: none, to: none,
		epoch: none, recovered: none, latest: none,
	}
	if !e.present() {
		return r
	}
	s := e.section(slices.Concat(recognition, fieldsOf[kind])...)
	m.recognise(s, &r)
	switch kind {
	case Event:
		r.data = m.path(s, &r, "data", r.form == formJSON)
		r.offset = m.path(s, &r, "offset", false)
	case Subscribed:
		r.offset = m.path(s, &r, "offset", false)
		m.parseRecovery(s, &r)
	case Gap:
		r.from = m.path(s, &r, "from", r.form != formPattern)
		r.to = m.path(s, &r, "to", r.form != formPattern)
	case Refused:
		for _, text := range s.at("text").oneOrMore() {
			r.text = append(r.text, m.slot(text, &r))
		}
	case Ping:
		r.answer = []byte(s.at("answer").text())
	}
	if slices.Contains(fieldsOf[kind], "channel") {
		r.channel = m.path(s, &r, "channel", false)
	}
	m.rules = append(m.rules, r)
	return r
}

// recognise reads how messages are recognised: in one way out of four.
func (m *matcher) recognise(s section, r *rule) {
	var given []string
	for _, name := range recognition {
		if s.at(name).present() {
			given = append(given, name)
		}
	}
	switch {
	case len(given) == 0 && slices.ContainsFunc(recognition, s.excused):
		return
	case len(given) == 0:
		s.fail("one of %s is missing", strings.Join(recognition, ", "))
		return
	case len(given) > 1:
		s.at(given[1]).fail("it contradicts %s: give one of them", given[0])
		return
	}
	way := s.at(given[0])
	switch given[0] {
	case "when":
		for _, c := range way.oneOrMore() {
			r.conditions = append(r.conditions, m.condition(c))
		}
	case "pattern":
		r.form = formPattern
		var err error
		if r.pattern, err = newPattern(way.text(), r.kind); err != nil {
			way.fail("%v", err)
		}
	case "prefix":
		r.form, r.literal = formPrefix, []byte(way.text())
	case "equals":
		r.form, r.literal = formEquals, []byte(way.text())
		if r.kind == Event {
			way.fail("an event needs data: give when, prefix or pattern")
		}
	}
}

// path returns the slot of the path that s has under name, or none.
func (m *matcher) path(s section, r *rule, name string, needed bool) int {
	e := s.at(name)
	if needed {
		e = s.needed(name)
	}
	if !e.present() {
		return none
	}
	return m.slot(e, r)
}

func (m *matcher) slot(e entry, r *rule) int {
	if r.form != formJSON {
		e.fail("a path needs when: with prefix, equals and pattern a message is not read as JSON")
	}
	return m.add(e, e.text())
}

// add returns the slot of a path, written with dots: push.pub.data.
func (m *matcher) add(e entry, path string) int {
	names := strings.Split(path, ".")
	if !e.present() || e.failed() {
		return none
	}
	if err := checkPath(names); err != nil {
		e.fail("bad path %q: %v", path, err)
		return none
	}
	return m.paths.add(names)
}

// maxSteps bounds the length of a path, and with it how often a message is scanned.
const maxSteps = 16

func checkPath(names []string) error {
	if len(names) > maxSteps {
		return fmt.Errorf("it has more than %d names", maxSteps)
	}
	for _, name := range names {
		if name == "" {
			return errors.New("a name is empty")
		}
		for _, c := range name {
			if unicode.IsSpace(c) || unicode.IsControl(c) || strings.ContainsRune(`"'[]{}=,`, c) {
				return fmt.Errorf("%q may not be in a name", c)
			}
		}
	}
	return nil
}

// condition reads a condition: a path, or a path, an equals sign and a JSON scalar.
func (m *matcher) condition(e entry) condition {
	text := e.text()
	path, value, compared := strings.Cut(text, "=")
	c := condition{slot: m.add(e, strings.TrimSpace(path))}
	if !compared {
		return c
	}
	c.want = []byte(strings.TrimSpace(value))
	if !isScalar(c.want) {
		e.fail("bad condition %q: %s is no text in double quotes, number, true, false or null", text, cmp.Or(string(c.want), "nothing"))
	}
	return c
}

func isScalar(text []byte) bool {
	return jsonscan.Valid(text) && text[0] != '{' && text[0] != '['
}

// check finds rules that can never match, because one that is tried before them
// recognises all of their messages.
func (m *matcher) check() {
	for i := range m.rules {
		for j := range i {
			if later, earlier := &m.rules[i], &m.rules[j]; earlier.covers(later) && !later.at.failed() && !earlier.at.failed() {
				later.at.fail("it can never match: %s in line %d is tried before it and recognises the same messages", earlier.at.key, earlier.line)
				break
			}
		}
	}
}

// covers tells whether r recognises every message that other does.
func (r *rule) covers(other *rule) bool {
	switch {
	case r.form == formPrefix && (other.form == formPrefix || other.form == formEquals):
		return bytes.HasPrefix(other.literal, r.literal)
	case r.form != other.form:
		return false
	case r.form == formEquals:
		return bytes.Equal(r.literal, other.literal)
	case r.form == formPattern:
		return slices.Equal(r.pattern, other.pattern)
	}
	for _, c := range r.conditions {
		implied := func(o condition) bool { return o.slot == c.slot && (c.want == nil || c.same(o)) }
		if c.slot == none || !slices.ContainsFunc(other.conditions, implied) {
			return false
		}
	}
	return len(r.conditions) > 0
}

// same tells whether two conditions want the same value.
func (c condition) same(other condition) bool { return other.want != nil && c.holds(other.want) }
