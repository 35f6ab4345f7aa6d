package options

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"
	"github.com/dustin/go-humanize/english"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"fleetcast/cmd/internal/stdio"
	"fleetcast/codec/jsonscan"
)

const (
	maxConfigFile   = 1 << 20 // bytes
	maxConfigKeys   = 1000    // the YAML parser's time grows with their square
	maxRuleKeys     = 5000    // of all rules for channels together
	maxConfigErrors = 20      // reported at once
)

// configFile is a configuration file that is being read.
type configFile struct {
	path   string
	flags  []*kong.Flag
	values map[string]given
	errs   []error
}

// readConfigFile takes the values of options from a YAML file. The error names
// the file, line and key of all that is wrong with it.
func readConfigFile(path string, flags []*kong.Flag) (map[string]given, error) {
	text, err := readBounded(path, maxConfigFile)
	if err != nil {
		return nil, err
	}
	return parseConfigFile(path, text, flags)
}

// readBounded reads a regular file of at most limit bytes. Others, such as a
// pipe, could not be read again later.
func readBounded(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file", path)
	case err != nil:
		return nil, fmt.Errorf("read the configuration file: %w", err)
	case info.IsDir():
		return nil, fmt.Errorf("%s: is a directory, not a YAML file", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the configuration file: %w", err)
	case int64(len(text)) > limit:
		return nil, fmt.Errorf("%s: is longer than %d bytes", path, limit)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		// Most likely it is being written. A user who wants no options can write a
		// comment.
		return nil, fmt.Errorf("%s: is empty; write a comment into it (# ...) if it is to set nothing", path)
	}
	return text, nil
}

// parseConfigFile takes the values of options from the text of a file.
func parseConfigFile(path string, text []byte, flags []*kong.Flag) (map[string]given, error) {
	c := &configFile{path: path, flags: flags, values: map[string]given{}}
	c.document(c.parse(jsonscan.TrimMark(text)))
	if more := len(c.errs) - maxConfigErrors; more > 0 {
		c.errs = append(c.errs[:maxConfigErrors], fmt.Errorf("%s: %d more %s", path, more, english.PluralWord(more, "error", "")))
	}
	return c.values, errors.Join(c.errs...)
}

func (c *configFile) fail(line int, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s:%d: "+format, append([]any{c.path, line}, args...)...))
}

// parse returns what the file consists of, or nil if that is nothing.
func (c *configFile) parse(text []byte) ast.Node {
	if jsonscan.HasUTF16Mark(text) {
		c.fail(1, "is UTF-16, by its byte order mark; save it as UTF-8")
		return nil
	}
	if !utf8.Valid(text) {
		line := 1
		for len(text) > 0 {
			r, n := utf8.DecodeRune(text)
			if r == utf8.RuneError && n == 1 {
				break
			}
			if r == '\n' {
				line++
			}
			text = text[n:]
		}
		c.fail(line, "is not UTF-8")
		return nil
	}
	tokens := lexer.Tokenize(string(text))
	if !c.plain(tokens) || !c.wholeCharacters(text, tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		c.syntaxError(err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch doc.Body.(type) {
		case nil, *ast.CommentGroupNode, *ast.DirectiveNode:
			continue
		}
		if body != nil {
			c.fail(firstLine(doc.Body), "a second YAML document begins; write one")
			return nil
		}
		body = doc.Body
	}
	return body
}

// halfSurrogate finds the escape of a surrogate.
var halfSurrogate = regexp.MustCompile(`(?i)\\u(0000)?d[89a-f]`)

// wholeCharacters refuses escapes of half a surrogate pair. The parser makes
// U+FFFD of them, which is another name.
func (c *configFile) wholeCharacters(text []byte, tokens token.Tokens) bool {
	if !halfSurrogate.Match(text) {
		return true
	}
	for _, t := range tokens {
		if t.Type == token.DoubleQuoteType && strings.Contains(t.Value, "\ufffd") {
			c.fail(t.Position.Line, "YAML: an escape is half of a surrogate pair, which is no character")
			return false
		}
	}
	return true
}

// plain refuses what options do not need and a parser can be kept busy with.
func (c *configFile) plain(tokens token.Tokens) bool {
	keys, ruleKeys, depth := 0, 0, 0
	for i, t := range tokens {
		line := t.Position.Line
		switch t.Type {
		case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType:
			c.fail(line, "YAML: anchors, aliases and tags are not taken; put a value that begins with *, & or ! in quotes")
			return false
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType:
			if i+1 < len(tokens) && tokens[i+1].Type == token.SequenceEntryType && tokens[i+1].Position.Line == line {
				c.fail(line, "YAML: a list within a list is not taken")
				return false
			}
		case token.MappingValueType:
			if inner(tokens, i, depth) {
				ruleKeys++
			} else {
				keys++
			}
		}
		switch {
		case depth > 4: // {option: [{key: [value]}]}
			c.fail(line, "YAML: lists and mappings nest too deep")
			return false
		case keys > maxConfigKeys:
			c.fail(line, "more than %d keys", maxConfigKeys)
			return false
		case ruleKeys > maxRuleKeys:
			c.fail(line, "more than %d keys of rules", maxRuleKeys)
			return false
		}
	}
	return true
}

// inner tells whether the key before token i is not an option's, by its place.
func inner(tokens token.Tokens, i, depth int) bool {
	return depth > 1 || depth == 0 && i > 0 && tokens[i-1].Position.Column > 1
}

// syntaxError reports what the parser says.
func (c *configFile) syntaxError(err error) {
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) || syntax.Token == nil {
		c.errs = append(c.errs, fmt.Errorf("%s: YAML: %w", c.path, err))
		return
	}
	hint := ""
	if strings.Contains(syntax.Message, "not allowed in this context") || strings.Contains(syntax.Message, "reserved character") {
		hint = "; put a value with special characters in quotes, and indent nothing but lists"
	}
	message := stdio.Printable(strings.ReplaceAll(syntax.Message, "\t", `\t`))
	c.fail(syntax.Token.Position.Line, "YAML: %s%s", message, hint)
}

// document reads the options.
func (c *configFile) document(body ast.Node) {
	switch body := body.(type) {
	case nil:
	case *ast.MappingNode:
		lines := map[string]int{}
		for _, m := range body.Values {
			c.member(m, lines)
		}
	default:
		c.fail(firstLine(body), "is %s; write one option a line, for example max-clients: 1000", kind(body))
	}
}

// member reads one option. lines has those that were seen.
func (c *configFile) member(m *ast.MappingValueNode, lines map[string]int) {
	line := m.Key.GetToken().Position.Line
	key := m.Key.GetToken().Value
	if first, seen := lines[key]; seen {
		c.givenTwice(key, line, first)
		return
	}
	lines[key] = line
	flag := c.find(key)
	switch _, text := m.Key.(*ast.StringNode); {
	case key == ConfigFlag:
		c.fail(line, "%s: cannot be set in the file itself; use --%s or %s", key, ConfigFlag, VariableOf(ConfigFlag))
	case !text, flag == nil:
		c.fail(line, "%s: no such option; %s", shownKey(key), c.suggest(key))
	default:
		c.option(flag, line, m.Value)
	}
}

// givenTwice fails. Of a list, the reader perhaps wanted to add something.
func (c *configFile) givenTwice(key string, line, first int) {
	hint := ""
	if flag := c.find(key); flag != nil && flag.IsSlice() {
		hint = "; put all entries into that list"
	}
	c.fail(line, "%s: is given twice, first in line %d%s", shownKey(key), first, hint)
}

func (c *configFile) find(key string) *kong.Flag {
	for _, f := range c.flags {
		if f.Name == key {
			return f
		}
	}
	return nil
}

func (c *configFile) suggest(key string) string {
	var names []string
	for _, f := range c.flags {
		names = append(names, f.Name)
	}
	if near := Nearest(strings.ToLower(strings.ReplaceAll(key, "_", "-")), names); near != "" {
		return "did you mean " + near + "?"
	}
	return "fleetcast config lists all"
}

// shownKey is a key for an error message.
func shownKey(key string) string {
	if len(key) <= shownValue && key != "" && key == stdio.Printable(key) {
		return key
	}
	return Shown([]byte(key))
}

// option reads the value of an option, one element or several.
func (c *configFile) option(flag *kong.Flag, line int, value ast.Node) {
	elements := []ast.Node{value}
	if list, ok := value.(*ast.SequenceNode); ok && flag.IsSlice() {
		elements = list.Values
	}
	g := given{source: source{file: c.path, line: line}, texts: []string{}}
	for _, e := range elements {
		at := line
		if e != nil && e != value {
			at = cmp.Or(firstLine(e), line)
		}
		if text, ok := c.element(flag, at, e); ok {
			g.texts = append(g.texts, text)
			g.lines = append(g.lines, at)
		}
	}
	c.values[flag.Name] = g
}

// element is the text of an option's value, or of an element of its list.
func (c *configFile) element(flag *kong.Flag, line int, n ast.Node) (text string, ok bool) {
	if into, members := mappingFor(flag), membersOf(n); into != nil && members != nil {
		return c.mapping(flag, line, into, members)
	}
	if text, ok = scalar(n); !ok {
		c.fail(line, "%s: is %s; write %s", flag.Name, kind(n), wanted(flag))
		return "", false
	}
	if err := checkText(flag, text); err != nil {
		c.fail(line, "%s: %w", flag.Name, err)
		return "", false
	}
	return text, true
}

func wanted(flag *kong.Flag) string {
	switch {
	case flag.Name == channelsOption:
		return "a list of rules"
	case mappingFor(flag) != nil:
		return "a list of entries"
	}
	if flag.IsSlice() {
		return "a value, or a list of values"
	}
	return "one value"
}

// scalar returns the text of a value as it stands in the file, without quotes.
func scalar(n ast.Node) (text string, ok bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// kind says what a node is that is no value.
func kind(n ast.Node) string {
	switch n.(type) {
	case nil, *ast.NullNode:
		return "empty"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	}
	return "text"
}

// firstLine is the line in which a node begins.
func firstLine(n ast.Node) int {
	if mapping, ok := n.(*ast.MappingNode); ok && len(mapping.Values) > 0 {
		n = mapping.Values[0].Key
	}
	if t := n.GetToken(); t != nil {
		return t.Position.Line
	}
	return 1
}
