package jsonscan

import (
	"bytes"

	"github.com/bytedance/sonic/utf8"
)

// Member is one member of an object.
type Member struct {
	Key   []byte // without quotes and escapes; a copy only if it held an escape
	Value []byte // the raw value, without white space around it
	Deep  bool   // more than MaxDepth arrays and objects are open at once in the value
}

// Object walks the members of one JSON object, scanning each byte once:
//
//	o := jsonscan.NewObject(text)
//	var m jsonscan.Member
//	for o.Next(&m) { ... }
//	if err := o.Err(); err != nil { ... }
//
// The text is valid only once Next has returned false and Err nil. Repeated keys are
// handed out as they come.
type Object struct{ list }

// NewObject returns a walk over text, which must be one object with only white space
// around it.
func NewObject(text []byte) Object {
	return Object{list{text: text}}
}

// Next scans the next member into m; m's slices point into the text. It returns false behind
// the last one and on error.
func (o *Object) Next(m *Member) bool {
	if !o.advance('{', '}') {
		return false
	}
	span, value, high, err := scanKey(o.text, o.at, 0)
	if err != nil {
		return o.fail(value, err)
	}
	key := o.text[o.at+1 : span.end-1]
	if high&highBits != 0 && !utf8.Validate(key) {
		return o.fail(o.at, ErrUTF8)
	}
	if !span.plain && bytes.IndexByte(key, '\\') >= 0 {
		key = AppendUnquoted(nil, o.text[o.at:span.end])
	}
	m.Key = key
	if !o.value(value, &m.Value) {
		return false
	}
	m.Deep = o.deep
	return true
}

// Array walks the elements of one JSON array, as Object does the members of an object.
type Array struct{ list }

// NewArray returns a walk over text, which must be one array with only white space
// around it.
func NewArray(text []byte) Array {
	return Array{list{text: text}}
}

// Next scans the next element; raw points into the text. It returns false behind the last one
// and on error.
func (a *Array) Next(raw *[]byte) bool {
	return a.advance('[', ']') && a.value(a.at, raw)
}

// list is what Object and Array have in common: a place in a comma-separated list.
type list struct {
	text  []byte
	at    int // where the walk continues; on error, where it stopped
	state listState
	deep  bool // the element scanned last is deep
	err   error
}

type listState uint8

const (
	listStart listState = iota // nothing scanned
	listOpen                   // behind an element
	listDone                   // behind the end of the list, or failed
)

// Err returns why the walk ended early: ErrSyntax, ErrEnd, ErrUTF8, or nil.
func (l *list) Err() error { return l.err }

// Offset returns the number of bytes scanned; after an error, the place of the fault, in bytes
// from the start of the text.
func (l *list) Offset() int { return l.at }

// advance moves to the next element or, if there is none, over the end of the text.
func (l *list) advance(open, end byte) bool {
	if l.state == listDone {
		return false
	}
	i := skipSpace(l.text, l.at)
	if l.state == listStart {
		if i >= len(l.text) || l.text[i] != open {
			return l.fail(i, unexpected(l.text, i))
		}
		l.state = listOpen
		l.at = skipSpace(l.text, i+1)
		if l.at < len(l.text) && l.text[l.at] == end {
			return l.finish(l.at + 1)
		}
		return true
	}
	if i < len(l.text) && l.text[i] == ',' {
		l.at = skipSpace(l.text, i+1)
		return true
	}
	if i < len(l.text) && l.text[i] == end {
		return l.finish(i + 1)
	}
	return l.fail(i, unexpected(l.text, i))
}

// finish checks that nothing but white space follows the list, which ends at text[i].
func (l *list) finish(i int) bool {
	l.at, l.state = skipSpace(l.text, i), listDone
	if l.at < len(l.text) {
		l.err = ErrSyntax
	}
	return false
}

// value scans the element at text[i].
func (l *list) value(i int, raw *[]byte) bool {
	start, end, deep, err := Value(l.text, i)
	if err != nil {
		return l.fail(end, err)
	}
	*raw = l.text[start:end:end]
	l.at, l.deep = end, deep
	return true
}

func (l *list) fail(at int, err error) bool {
	l.at, l.err, l.state = at, err, listDone
	return false
}
