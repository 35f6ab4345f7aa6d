package jsonscan

import (
	"errors"

	"github.com/bytedance/sonic/utf8"
)

// MaxDepth is the number of arrays and objects that may be open at once, as in encoding/json.
const MaxDepth = 10000

// Errors of the scanner. They carry no position: the end that is returned beside them says where scanning
// stopped.
var (
	// ErrSyntax: a byte that JSON does not allow at its place.
	ErrSyntax = errors.New("invalid JSON")
	// ErrEnd: the input ends inside a value.
	ErrEnd = errors.New("unexpected end of JSON")
	// ErrDepth: more than MaxDepth arrays and objects are open.
	ErrDepth = errors.New("JSON is nested too deeply")
	// ErrUTF8: a string holds bytes that are not UTF-8.
	ErrUTF8 = errors.New("JSON is not valid UTF-8")
)

// shallowWords is the size of the stack that is tried first: zeroing the full one would cost
// more than scanning a typical event. Deeper values are scanned again from their start.
const (
	shallowWords = 2
	deepWords    = (MaxDepth + 63) / 64
)

// Valid reports whether b is one JSON value with nothing but white space around it, and
// valid UTF-8.
func Valid(b []byte) bool {
	_, end, err := Value(b, 0)
	return err == nil && skipSpace(b, end) == len(b)
}

// Value scans the one JSON value that starts at b[i], after white space, and returns where it
// starts and ends: b[start:end] is the value. What follows it is not looked at ("01" is the number 0
// and a rest). On error, ErrSyntax, ErrEnd, ErrDepth or ErrUTF8, end is where scanning
// stopped.
func Value(b []byte, i int) (start, end int, err error) {
	return scanValue(b, i, MaxDepth)
}

// scanValue is Value with room for maxDepth containers.
func scanValue(b []byte, i, maxDepth int) (start, end int, err error) {
	start = skipSpace(b, i)
	var high uint64
	switch {
	case start >= len(b):
		return start, start, ErrEnd
	case b[start] == '"':
		end, high, err = scanString(b, start+1, 0)
	case b[start] == '{' || b[start] == '[':
		end, high, err = scanContainer(b, start, maxDepth)
	default:
		end, err = scanScalar(b, start)
	}
	if err == nil && high&highBits != 0 && !utf8.Validate(b[start:end]) {
		return start, start, ErrUTF8
	}
	return start, end, err
}

// scanContainer scans the array or object at b[i]; see scanNested for high.
func scanContainer(b []byte, i, maxDepth int) (end int, high uint64, err error) {
	var kinds [shallowWords]uint64
	end, high, err = scanNested(b, i, kinds[:], 64*shallowWords)
	if err == ErrDepth {
		return scanDeep(b, i, maxDepth)
	}
	return end, high, err
}

// scanDeep is apart so that only deep values pay for its frame.
//
//go:noinline
func scanDeep(b []byte, i, maxDepth int) (end int, high uint64, err error) {
	var kinds [deepWords]uint64
	return scanNested(b, i, kinds[:], maxDepth)
}

// scanNested scans the array or object at b[i]. kinds holds one bit per open container, set
// for an object, and has room for limit of them. high has a bit of highBits set if there is a
// byte >= 0x80 in a string (or up to 7 bytes behind one).
func scanNested(b []byte, i int, kinds []uint64, limit int) (end int, high uint64, err error) {
	depth := 0
	closer := byte(0) // what closes the innermost container: '}' or ']'
	for i < len(b) {
		opened := false
		switch c := b[i]; c {
		case '"':
			if short, w := shortString(b, i+1); short > 0 {
				i, high = short, high|w
			} else {
				i, high, err = scanString(b, i+1, high)
			}
		case '{', '[':
			if depth == limit {
				return i, high, ErrDepth
			}
			opened, closer = true, c+2
			setKind(kinds, depth, closer == '}')
			depth++
			i++
		default:
			i, err = scanScalar(b, i)
		}
		if err != nil {
			return i, high, err
		}
		i = skipSpace(b, i)
		for i < len(b) && b[i] == closer {
			i++
			depth--
			if depth == 0 {
				return i, high, nil
			}
			opened, closer = false, kindCloser(kinds, depth-1)
			i = skipSpace(b, i)
		}
		if !opened {
			if i >= len(b) || b[i] != ',' {
				return i, high, unexpected(b, i)
			}
			i = skipSpace(b, i+1)
		}
		if closer == '}' {
			if _, i, high, err = scanKey(b, i, high); err != nil {
				return i, high, err
			}
		}
	}
	return i, high, ErrEnd
}

// scanKey scans a member's key and colon at b[i] and returns the end of the key and the start
// of the value; for seen and high, see scanString.
func scanKey(b []byte, i int, seen uint64) (keyEnd, value int, high uint64, err error) {
	if i >= len(b) || b[i] != '"' {
		return i, i, seen, unexpected(b, i)
	}
	if short, w := shortString(b, i+1); short > 0 {
		keyEnd, high = short, seen|w
	} else if keyEnd, high, err = scanString(b, i+1, seen); err != nil {
		return keyEnd, keyEnd, high, err
	}
	i = skipSpace(b, keyEnd)
	if i >= len(b) || b[i] != ':' {
		return keyEnd, i, high, unexpected(b, i)
	}
	return keyEnd, skipSpace(b, i+1), high, nil
}

// unexpected says what is wrong if b[i] is not what must come next.
func unexpected(b []byte, i int) error {
	if i >= len(b) {
		return ErrEnd
	}
	return ErrSyntax
}

func setKind(kinds []uint64, depth int, object bool) {
	bit := uint64(1) << (depth & 63)
	if object {
		kinds[depth>>6] |= bit
	} else {
		kinds[depth>>6] &^= bit
	}
}

func kindCloser(kinds []uint64, depth int) byte {
	if kinds[depth>>6]>>(depth&63)&1 != 0 {
		return '}'
	}
	return ']'
}

// skipSpace returns the index of the first byte at or after i that is not JSON white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && isSpace(b[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t'
}
