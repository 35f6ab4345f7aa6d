package options

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml/ast"
)

// mappingValue is a value that the file can have as a mapping.
type mappingValue interface {
	setMember(key, value string) error
	checkMembers() error
	fmt.Stringer
}

// mappingFor is a new element of the option's list, or nil if the file cannot have a
// mapping for it.
func mappingFor(flag *kong.Flag) mappingValue {
	if !flag.IsSlice() {
		return nil
	}
	into, _ := reflect.New(flag.Target.Type().Elem()).Interface().(mappingValue)
	return into
}

// membersOf are the members of a mapping, nil if n is no mapping.
func membersOf(n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

// mapping reads an element that is a mapping, and returns it as a text.
func (c *configFile) mapping(flag *kong.Flag, line int, into mappingValue, members []*ast.MappingValueNode) (text string, ok bool) {
	before, lines := len(c.errs), map[string]int{}
	for _, m := range members {
		at, key := m.Key.GetToken().Position.Line, m.Key.GetToken().Value
		if first, seen := lines[key]; seen {
			c.fail(at, "%s: %s is given twice, first in line %d", flag.Name, shownKey(key), first)
			continue
		}
		lines[key] = at
		value, ok := c.memberValue(flag, at, into, m)
		if !ok {
			continue
		}
		if err := into.setMember(key, value); err != nil {
			c.fail(at, "%s: %w", flag.Name, err)
		}
	}
	if len(c.errs) == before {
		if err := into.checkMembers(); err != nil {
			c.fail(line, "%s: %w", flag.Name, err)
		}
	}
	return into.String(), len(c.errs) == before
}

// memberValue is the text of a member's value, which may be a mapping itself.
func (c *configFile) memberValue(flag *kong.Flag, line int, into mappingValue, m *ast.MappingValueNode) (text string, ok bool) {
	key := m.Key.GetToken().Value
	if of, may := into.(interface{ nested(key string) mappingValue }); may {
		if inner, members := of.nested(key), membersOf(m.Value); inner != nil && members != nil {
			return c.mapping(flag, line, inner, members)
		}
	}
	if text, ok = memberText(into, key, m.Value); !ok {
		c.fail(line, "%s: %s is %s; write one value", flag.Name, shownKey(key), kind(m.Value))
	}
	return text, ok
}

// memberText is the text of a member's value. A member that may be a list has its elements
// with blanks between them.
func memberText(into mappingValue, key string, n ast.Node) (text string, ok bool) {
	list, isList := n.(*ast.SequenceNode)
	may, ok := into.(interface{ listMember(string) bool })
	if !isList || !ok || !may.listMember(key) {
		return scalar(n)
	}
	var texts []string
	for _, e := range list.Values {
		text, plain := scalar(e)
		if !plain || strings.ContainsAny(text, " \t") {
			return "", false
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " "), true
}
