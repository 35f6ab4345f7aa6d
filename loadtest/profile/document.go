package profile

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"fleetcast/codec/jsonscan"
)

// MaxText is the length of the longest profile, in bytes. It keeps the YAML parser, whose time grows
// with the square of some texts, to a second or so.
const MaxText = 16 << 10

// document is a YAML file that is being read. It keeps what is wrong, one error for each place.
type document struct {
	source string // the file's name
	faults []fault
}

// fault is something that is wrong in a place.
type fault struct {
	key  string
	line int
	text string
}

// maxFaults bounds how many are told.
const maxFaults = 20

// err returns all that is wrong, in the order of lines; nil if nothing is.
func (d *document) err() error {
	slices.SortStableFunc(d.faults, func(a, b fault) int { return a.line - b.line })
	var errs []error
	for i, f := range d.faults {
		if i == maxFaults {
			errs = append(errs, fmt.Errorf("%s: and %d more errors", d.source, len(d.faults)-i))
			break
		}
		errs = append(errs, errors.New(f.text))
	}
	return errors.Join(errs...)
}

// entry is a value of the document and the place where it is.
type entry struct {
	doc  *document
	key  string // the path to it: subscribe.answer; empty for the whole document
	line int
	node ast.Node // nil if the document does not have it
}

// section is a mapping.
type section struct {
	entry
	entries map[string]entry
	broken  bool     // it could not be read: no key of it is missing
	meant   []string // keys that others are likely misspellings of
}

// open parses text, one YAML document that is to be a mapping with the given keys.
func (d *document) open(text []byte, keys ...string) section {
	e := entry{doc: d, line: 1}
	text = jsonscan.TrimMark(text)
	switch {
	case jsonscan.HasUTF16Mark(text):
		e.fail("the profile is UTF-16, by its byte order mark; save it as UTF-8")
	case len(text) > MaxText:
		e.fail("the profile is longer than %d bytes", MaxText)
	case !utf8.Valid(text):
		e.fail("the profile is not UTF-8")
	default:
		e.node = d.parse(text)
	}
	return e.section(keys...)
}

// parse returns what the only document in text consists of.
func (d *document) parse(text []byte) ast.Node {
	e := entry{doc: d, line: 1}
	file, err := parser.ParseBytes(text, 0)
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax):
		e.line = syntax.Token.Position.Line
		e.fail("YAML: %s", syntax.Message)
	case err != nil:
		e.fail("YAML: %v", err)
	case len(file.Docs) > 1:
		if start := file.Docs[1].Start; start != nil {
			e.line = start.Position.Line
		}
		e.fail("a profile is one YAML document, not %d", len(file.Docs))
	case len(file.Docs) == 0 || file.Docs[0].Body == nil:
		e.fail("the profile is empty")
	default:
		return file.Docs[0].Body
	}
	return nil
}

// failed tells whether something is wrong at e or below it, so that what follows from it need not
// be told.
func (e entry) failed() bool {
	return slices.ContainsFunc(e.doc.faults, func(f fault) bool {
		return f.key == e.key || strings.HasPrefix(f.key, e.key+".") || strings.HasPrefix(f.key, e.key+"[")
	})
}

// fail notes an error at e, unless there is one at that place already.
func (e entry) fail(format string, values ...any) {
	if slices.ContainsFunc(e.doc.faults, func(f fault) bool { return f.key == e.key }) {
		return
	}
	place := fmt.Sprintf("%s:%d: ", e.doc.source, e.line)
	if e.key != "" {
		place += e.key + ": "
	}
	e.doc.faults = append(e.doc.faults, fault{e.key, e.line, place + fmt.Sprintf(format, values...)})
}

// present reports whether the document has e.
func (e entry) present() bool { return e.node != nil }

// section reads a mapping with the given keys; none are given where any will do.
func (e entry) section(keys ...string) section {
	s := section{entry: e, entries: map[string]entry{}}
	if e.node == nil {
		s.broken = len(e.doc.faults) > 0
		return s
	}
	mapping, ok := e.node.(*ast.MappingNode)
	if !ok {
		e.wrongType("a mapping")
		s.broken = true
		return s
	}
	for _, m := range mapping.Values {
		s.add(m, keys)
	}
	return s
}

// add takes a member of the mapping, whose key is to be one of keys.
func (s *section) add(m *ast.MappingValueNode, keys []string) {
	line := m.Key.GetToken().Position.Line
	name, ok := m.Key.(*ast.StringNode)
	if !ok {
		entry{doc: s.doc, key: s.key, line: line}.fail("the key %q is not plain text", m.Key.GetToken().Value)
		return
	}
	e := s.at(name.Value)
	e.line, e.node = line, m.Value
	switch {
	case len(keys) > 0 && !slices.Contains(keys, name.Value):
		e.fail("unknown key; %s", suggest(name.Value, keys))
		s.meant = append(s.meant, nearest(name.Value, keys))
	case e.node == nil || e.node.Type() == ast.NullType:
		e.fail("it has no value")
	}
	s.entries[name.Value] = e
}

// at returns the entry of that name. If it is not there, errors at it are reported in the line of
// the section.
func (s section) at(name string) entry {
	if e, ok := s.entries[name]; ok {
		return e
	}
	e := entry{doc: s.doc, key: name, line: s.line}
	if s.key != "" {
		e.key = s.key + "." + name
	}
	return e
}

// needed returns the entry of that name, which must be there.
func (s section) needed(name string) entry {
	e := s.at(name)
	if !e.present() && !s.excused(name) {
		e.fail("missing key")
	}
	return e
}

// excused tells whether it is known already why a key is not there.
func (s section) excused(name string) bool {
	e, given := s.entries[name]
	return s.broken || slices.Contains(s.meant, name) || given && e.failed()
}

// list returns the elements of a sequence.
func (e entry) list() []entry {
	if e.node == nil {
		return nil
	}
	sequence, ok := e.node.(*ast.SequenceNode)
	switch {
	case !ok:
		e.wrongType("a list")
		return nil
	case len(sequence.Values) == 0:
		e.fail("the list is empty")
	}
	elements := make([]entry, len(sequence.Values))
	for i, n := range sequence.Values {
		elements[i] = entry{doc: e.doc, key: fmt.Sprintf("%s[%d]", e.key, i), line: e.line, node: n}
		if n == nil || n.Type() == ast.NullType {
			elements[i].fail("it has no value")
			continue
		}
		elements[i].line = firstLine(n)
	}
	return elements
}

// firstLine returns the line in which a list's element begins.
func firstLine(n ast.Node) int {
	if mapping, ok := n.(*ast.MappingNode); ok && len(mapping.Values) > 0 {
		return mapping.Values[0].Key.GetToken().Position.Line
	}
	return n.GetToken().Position.Line
}

// oneOrMore returns the elements of a sequence, or e itself if it is a text.
func (e entry) oneOrMore() []entry {
	if _, ok := e.node.(*ast.SequenceNode); ok || e.node == nil {
		return e.list()
	}
	return []entry{e}
}

// text returns a text, or "" if e is not there.
func (e entry) text() string {
	text := ""
	switch n := e.node.(type) {
	case nil:
		return ""
	case *ast.StringNode:
		text = n.Value
	case *ast.LiteralNode:
		text = n.Value.Value
	default:
		e.wrongType("text")
		return ""
	}
	if text == "" {
		e.fail("the text is empty")
	}
	return text
}

// choice returns which of names e is: the first, if it is not there.
func (e entry) choice(names ...string) string {
	text := e.text()
	switch {
	case !e.present():
		return names[0]
	case !slices.Contains(names, text):
		e.fail("there is no %q; choose from %s", text, strings.Join(names, ", "))
	}
	return text
}

// flag returns true or false, which it is if e is not there.
func (e entry) flag() bool {
	if e.node == nil {
		return false
	}
	n, ok := e.node.(*ast.BoolNode)
	if !ok {
		e.wrongType("true or false")
		return false
	}
	return n.Value
}

// number returns a whole number from low to high, or otherwise if e is not there.
func (e entry) number(otherwise, low, high int) int {
	if e.node == nil {
		return otherwise
	}
	value := uint64(math.MaxUint64)
	switch n := e.node.(type) {
	case *ast.IntegerNode:
		if v, ok := n.Value.(uint64); ok {
			value = v
		}
	default:
		e.wrongType("a whole number")
		return 0
	}
	if value < uint64(low) || value > uint64(high) {
		e.fail("it is to be from %d to %d", low, high)
		return 0
	}
	return int(value)
}

// wrongType says what e is and what it is to be.
func (e entry) wrongType(want string) {
	kind := "something else"
	switch e.node.(type) {
	case *ast.MappingNode:
		kind = "a mapping"
	case *ast.SequenceNode:
		kind = "a list"
	case *ast.StringNode, *ast.LiteralNode:
		kind = "text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		kind = "a number"
	case *ast.BoolNode:
		kind = "true or false"
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		kind = "an anchor, alias or tag, which profiles do not have"
	}
	hint := ""
	if want == "text" && (kind == "a number" || kind == "true or false") {
		hint = "; put it into quotes"
	}
	e.fail("it is %s, not %s%s", kind, want, hint)
}
