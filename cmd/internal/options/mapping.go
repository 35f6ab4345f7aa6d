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
		value, plain := memberText(into, key, m.Value)
		if !plain {
			c.fail(at, "%s: %s is %s; write one value", flag.Name, shownKey(key), kind(m.Value))
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
