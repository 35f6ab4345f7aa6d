package jsonscan

import (
	"errors"

	"github.com/bytedance/sonic/utf8"
)

// MaxDepth is the number of arrays and objects that may be open at once in a value that is not
// deep. An event's data is bound by it, and the event's own object adds one level: Ruby's JSON
// reads 100 levels by default, Rust's serde_json 127, PHP 511, Python some 1,000.
const MaxDepth = 99

// Errors of the scanner. They carry no position: the end that is returned beside them says where scanning
// stopped.
var (
	// ErrSyntax: a byte that JSON does not allow at its place.
	ErrSyntax = errors.New("invalid JSON")
	// ErrEnd: the input ends inside a value.
	ErrEnd = errors.New("unexpected end of JSON")
	// ErrUTF8: a string holds bytes that are not UTF-8.
	ErrUTF8 = errors.New("JSON is not valid UTF-8")
)

// errDeep ends a scan that has found more than MaxDepth arrays and objects open.
var errDeep = errors.New("deep")

// Valid reports whether b is one JSON value with nothing but white space around it, and
// valid UTF-8. It may be deep.
func Valid(b []byte) bool {
	valid, _ := Check(b)
	return valid
}

// Check is Valid that also reports whether the value is deep: whether more than MaxDepth arrays and
// objects are open at once in it. What is not valid is not deep.
func Check(b []byte) (valid, deep bool) {
	_, end, deep, err := Value(b, 0)
	valid = err == nil && skipSpace(b, end) == len(b)
	return valid, valid && deep
}

// Value scans the one JSON value that starts at b[i], after white space, and returns where it
// starts and ends: b[start:end] is the value. What follows it is not looked at ("01" is the number 0
// and a rest). On error, ErrSyntax, ErrEnd or ErrUTF8, end is where scanning stopped.
//
// A deep value, see MaxDepth, is scanned twice, with memory for a bit per byte of b.
func Value(b []byte, i int) (start, end int, deep bool, err error) {
	start = skipSpace(b, i)
	var high uint64
	switch {
	case start >= len(b):
		return start, start, false, ErrEnd
	case b[start] == '"':
		end, high, err = scanString(b, start+1, 0)
	case b[start] == '{' || b[start] == '[':
		end, high, deep, err = scanContainer(b, start)
	default:
		end, err = scanScalar(b, start)
	}
	if err == nil && high&highBits != 0 && !utf8.Validate(b[start:end]) {
		return start, start, false, ErrUTF8
	}
	return start, end, deep, err
}

// scanContainer scans the array or object at b[i]; see scanNested for high.
func scanContainer(b []byte, i int) (end int, high uint64, deep bool, err error) {
	var kinds [(MaxDepth + 63) / 64]uint64
	end, high, err = scanNested(b, i, kinds[:], MaxDepth)
	if err == errDeep {
		end, high, err = scanNested(b, i, make([]uint64, (len(b)-i+63)/64), len(b)-i)
		return end, high, true, err
	}
	return end, high, false, err
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
				return i, high, errDeep
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

// keySpan is where a member's key ends. A plain key is known to hold no escape.
type keySpan struct {
	end   int
	plain bool
}

// scanKey scans a member's key and colon at b[i] and returns the key and the start of the
// value; for seen and high, see scanString.
func scanKey(b []byte, i int, seen uint64) (key keySpan, value int, high uint64, err error) {
	if i >= len(b) || b[i] != '"' {
		return keySpan{end: i}, i, seen, unexpected(b, i)
	}
	if short, w := shortString(b, i+1); short > 0 {
		key, high = keySpan{short, true}, seen|w
	} else if key.end, high, err = scanString(b, i+1, seen); err != nil {
		return key, key.end, high, err
	}
	i = skipSpace(b, key.end)
	if i >= len(b) || b[i] != ':' {
		return key, i, high, unexpected(b, i)
	}
	return key, skipSpace(b, i+1), high, nil
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
