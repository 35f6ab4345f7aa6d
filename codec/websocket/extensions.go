package websocket

import (
	"bytes"

	"fleetcast/codec/deflate"
)

// extensions are the extensions in the fields of one head (RFC 6455, 9.1). Several
// fields count as one list.
type extensions struct {
	malformed bool           // a field does not follow the grammar
	foreign   bool           // an extension other than permessage-deflate is named
	deflates  int            // how many times that one is
	params    deflate.Params // of the first of them whose parameters are right
	usable    bool           // there is such a one
}

// wellFormed tells whether so many fields followed the grammar, which wants one
// element at least.
func (e *extensions) wellFormed(fields int) bool {
	return !e.malformed && (fields == 0 || e.foreign || e.deflates > 0)
}

// take notes one field.
func (e *extensions) take(value []byte) {
	for {
		name, rest := cutToken(value)
		if len(name) > 0 { // or else an empty element of the list (RFC 9110, 5.6.1.2)
			rest = e.takeParams(name, rest)
		}
		if e.malformed {
			return
		}
		if len(rest) == 0 {
			return
		}
		if rest[0] != ',' {
			e.malformed = true
			return
		}
		value = rest[1:]
	}
}

// takeParams notes the extension of that name. b begins with its parameters. It returns
// the rest.
func (e *extensions) takeParams(name, b []byte) (rest []byte) {
	ours := string(name) == deflate.Extension
	var params deflate.Params
	right := true
	for rest = b; len(rest) > 0 && rest[0] == ';'; {
		var argument []byte
		var ok bool
		if name, argument, rest, ok = cutParam(rest[1:]); !ok {
			e.malformed = true
			return rest
		}
		right = ours && params.Set(name, argument) && right
	}
	if !ours {
		e.foreign = true
		return rest
	}
	e.deflates++
	if right && !e.usable {
		e.params, e.usable = params, true
	}
	return rest
}

// cutParam splits `name`, `name=token` or `name="token"` off b. Without a value,
// argument is nil.
func cutParam(b []byte) (name, argument, rest []byte, ok bool) {
	if name, rest = cutToken(b); len(name) == 0 {
		return nil, nil, b, false
	}
	if len(rest) == 0 || rest[0] != '=' {
		return name, nil, rest, true
	}
	if rest = trimSpaceLeft(rest[1:]); len(rest) > 0 && rest[0] == '"' {
		argument, rest, ok = cutQuoted(rest[1:])
		return name, argument, rest, ok
	}
	argument, rest = cutToken(rest)
	return name, argument, rest, len(argument) > 0
}

// cutQuoted splits the rest of a quoted string off b. Its content must be a token
// once the backslashes are out of it.
func cutQuoted(b []byte) (token, rest []byte, ok bool) {
	escaped := false
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			token = b[:i]
			if escaped {
				token = unescape(token)
			}
			return token, trimSpaceLeft(b[i+1:]), isToken(token)
		}
	}
	return nil, b, false
}

// unescape takes the backslashes out that quote another byte (RFC 9110, 5.6.4).
func unescape(b []byte) []byte {
	plain := make([]byte, 0, len(b))
	for {
		before, after, found := bytes.Cut(b, []byte(`\`))
		plain = append(plain, before...)
		if !found || len(after) == 0 {
			return plain
		}
		plain, b = append(plain, after[0]), after[1:]
	}
}

// cutToken splits a token off b, with the white space on both of its sides. The
// token is empty if b begins with something else.
func cutToken(b []byte) (token, rest []byte) {
	b = trimSpaceLeft(b)
	n := 0
	for n < len(b) && tokenBytes[b[n]] {
		n++
	}
	return b[:n], trimSpaceLeft(b[n:])
}

func trimSpaceLeft(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	return b
}
