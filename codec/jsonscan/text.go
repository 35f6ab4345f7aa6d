package jsonscan

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"

	"github.com/bytedance/sonic/unquote"
)

// MaxUint is the largest integer that every JSON implementation keeps exact: 2^53-1
// (RFC 8259, section 6).
const MaxUint = 1<<53 - 1

// Text is what AppendString takes.
type Text interface{ ~string | ~[]byte }

// AppendString appends s as a JSON string. s must be valid UTF-8 for the result to be
// JSON. Quotes, backslashes and control bytes are escaped; all else is written
// unchanged.
func AppendString[T Text](dst []byte, s T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		if len(s)-i >= 8 {
			m := specials(load8(s, i))
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) >> 3
		}
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			dst = append(dst, s[from:i]...)
			dst = appendEscape(dst, c)
			from = i + 1
		}
		i++
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// load8 is binary.LittleEndian.Uint64 for both kinds of Text; it compiles to one load.
func load8[T Text](s T, i int) uint64 {
	t := s[i : i+8]
	return uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
		uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// IsString reports whether raw, a scanned value, is a string.
func IsString(raw []byte) bool {
	return len(raw) >= 2 && raw[0] == '"'
}

// ErrSurrogate means that a string holds the escape of half a surrogate pair, such as
// "\ud800". That is valid JSON but no Unicode text: there is no UTF-8 for it, and U+FFFD
// in its place would make different strings the same.
var ErrSurrogate = errors.New("half of a surrogate pair")

// Unquote returns the text of raw, a scanned string: a slice of it, or a copy if it holds an escape.
// The error is ErrSyntax if raw is not a string, and ErrSurrogate if it is not text.
func Unquote(raw []byte) ([]byte, error) {
	var u Unquoter
	return u.Text(raw)
}

// Unquoter unquotes strings without allocating, once its buffer has grown to what a message
// needs. It keeps that buffer: at most the length of the longest message seen.
type Unquoter struct{ buf []byte }

// Reset gives the buffer back: texts handed out earlier are no longer valid.
func (u *Unquoter) Reset() { u.buf = u.buf[:0] }

// Text returns the text of raw, a scanned string: a slice of it, or of the buffer if it
// holds an escape. The error is ErrSyntax if raw is not a string, and ErrSurrogate if
// it is not text. With ErrSurrogate the result is WTF-8, in which different strings
// stay different, and not valid UTF-8.
func (u *Unquoter) Text(raw []byte) (text []byte, err error) {
	if !IsString(raw) {
		return nil, ErrSyntax
	}
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner, nil
	}
	n := len(u.buf)
	// Growing moves the buffer and leaves the texts handed out before in the old one.
	for {
		unit, at := halfSurrogate(inner)
		if at < 0 {
			break
		}
		err = ErrSurrogate
		u.buf = appendUnquoted(u.buf, inner[:at])
		u.buf = append(u.buf, 0xe0|byte(unit>>12), 0x80|byte(unit>>6)&0x3f, 0x80|byte(unit)&0x3f)
		inner = inner[at+escapeSize:]
	}
	u.buf = appendUnquoted(u.buf, inner)
	return u.buf[n:len(u.buf):len(u.buf)], err
}

// escapeSize is the length in bytes of an escaped code unit: \u and four hexadecimal digits.
const escapeSize = 6

// halfSurrogate looks for the escape of a surrogate without its other half beside it in the inner
// part of a scanned string. at is negative if there is none.
func halfSurrogate(inner []byte) (unit rune, at int) {
	for {
		next := bytes.IndexByte(inner[at:], '\\')
		if next < 0 {
			return 0, -1
		}
		at += next
		first, ok := escapedUnit(inner[at:])
		if !ok || !utf16.IsSurrogate(first) {
			at += 2
			continue
		}
		second, _ := escapedUnit(inner[at+escapeSize:])
		if utf16.DecodeRune(first, second) == utf8.RuneError {
			return first, at
		}
		at += 2 * escapeSize
	}
}

// escapedUnit returns the UTF-16 code unit of an escape at the start of text, if there
// is one.
func escapedUnit(text []byte) (unit rune, ok bool) {
	if len(text) < escapeSize || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	var value [2]byte
	if _, err := hex.Decode(value[:], text[2:escapeSize]); err != nil {
		return 0, false
	}
	return rune(value[0])<<8 | rune(value[1]), true
}

// AppendUnquoted appends the text of raw, a scanned string, to dst, for people to read. Escapes of half a
// surrogate pair become U+FFFD, so that different strings may become the same: names are read
// with Unquote or an Unquoter. A raw that is not a string as Value returned it
// is the caller's error and may panic, here as in Unquote and Unquoter.Text.
func AppendUnquoted(dst, raw []byte) []byte { return appendUnquoted(dst, raw[1:len(raw)-1]) }

func appendUnquoted(dst, inner []byte) []byte {
	n := len(dst)
	dst = slices.Grow(dst, len(inner))
	tail := dst[n:n:cap(dst)]
	// sonic reads the string and keeps no reference to it.
	if unquote.IntoBytes(unsafe.String(unsafe.SliceData(inner), len(inner)), &tail) != 0 {
		panic("jsonscan: AppendUnquoted of a string that was not scanned")
	}
	return dst[:n+len(tail)]
}

// Uint returns the integer that raw, a scanned value, spells: digits only, 0 to MaxUint. A
// sign, a fraction or an exponent is not taken, even if the value is whole.
func Uint(raw []byte) (n uint64, ok bool) {
	if len(raw) == 0 || len(raw) > len("9007199254740991") || raw[0] == '0' && len(raw) > 1 {
		return 0, false
	}
	for _, c := range raw {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, n <= MaxUint
}
