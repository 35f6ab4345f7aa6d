package profile

import (
	"bytes"

	"fleetcast/codec/jsonscan"
)

// paths are places in a JSON value, each with a slot for what is found there. They form a tree, so
// that a message is walked once for all of them; what lies below a path is scanned once more for
// every step down.
type paths struct {
	root  step
	slots int
}

// step is what one name of a path leads to.
type step struct {
	name  string // of a member
	index int    // of an element, if the name is a number; else none
	slot  int    // of the value here, or none
	below []step
}

func newPaths() paths { return paths{root: step{index: none, slot: none}} }

// add returns the slot of the path of these names, the same one each time.
func (p *paths) add(names []string) int {
	at := &p.root
	for _, name := range names {
		at = at.child(name)
	}
	if at.slot == none {
		at.slot = p.slots
		p.slots++
	}
	return at.slot
}

func (s *step) child(name string) *step {
	for i := range s.below {
		if s.below[i].name == name {
			return &s.below[i]
		}
	}
	s.below = append(s.below, step{name: name, index: elementIndex(name), slot: none})
	return &s.below[len(s.below)-1]
}

// elementIndex returns the index that name spells, or none. An index has at most four digits.
func elementIndex(name string) int {
	if len(name) > 4 || len(name) > 1 && name[0] == '0' {
		return none
	}
	n := 0
	for _, c := range []byte(name) {
		if c < '0' || c > '9' {
			return none
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// scan puts the raw values at the paths into values, which has a nil for each slot. It
// reports whether text is valid JSON and holds none of them twice, because it would be
// unclear which of two counts.
func (p *paths) scan(text []byte, values [][]byte) bool {
	open := bytes.TrimLeft(text, " \t\r\n")
	if len(open) > 0 && (open[0] == '{' || open[0] == '[') {
		return p.root.walk(open, open[0], values)
	}
	return jsonscan.Valid(text) // a scalar: nothing has a path in it
}

// walk looks for the steps below s in an object or array, which opens with the byte open.
func (s *step) walk(text []byte, open byte, values [][]byte) bool {
	if open == '[' {
		return s.walkArray(text, values)
	}
	o := jsonscan.NewObject(text)
	var m jsonscan.Member
	for o.Next(&m) {
		for i := range s.below {
			if b := &s.below[i]; string(m.Key) == b.name {
				if !b.take(m.Value, values) {
					return false
				}
				break
			}
		}
	}
	return o.Err() == nil
}

func (s *step) walkArray(text []byte, values [][]byte) bool {
	a := jsonscan.NewArray(text)
	var raw []byte
	for n := 0; a.Next(&raw); n++ {
		for i := range s.below {
			if b := &s.below[i]; b.index == n {
				if !b.take(raw, values) {
					return false
				}
				break
			}
		}
	}
	return a.Err() == nil
}

// take takes the value that s leads to.
func (s *step) take(raw []byte, values [][]byte) bool {
	if s.slot != none {
		if values[s.slot] != nil {
			return false
		}
		values[s.slot] = raw
	}
	if len(s.below) > 0 && (raw[0] == '{' || raw[0] == '[') {
		return s.walk(raw, raw[0], values)
	}
	return true
}
