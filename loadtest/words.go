package loadtest

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Words are the words of a command line.
type Words []string

// MarshalJSON writes words that are not UTF-8, which JSON cannot hold, as ShellWord
// quotes them.
func (w Words) MarshalJSON() ([]byte, error) {
	shown := make([]string, len(w))
	for i, word := range w {
		if shown[i] = word; !utf8.ValidString(word) {
			shown[i] = ShellWord(word)
		}
	}
	return json.Marshal(shown)
}

// ShellWord quotes a word so that a shell takes it as it is; bytes that are not UTF-8 and
// control characters as $'\xff', which bash, zsh and ksh know.
func ShellWord(word string) string {
	special := func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_./:=,@%+", c))
	}
	control := func(c rune) bool { return c < ' ' || c == 0x7f }
	switch {
	case !utf8.ValidString(word) || strings.ContainsFunc(word, control):
		return escapedWord(word)
	case word != "" && !strings.ContainsFunc(word, special):
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func escapedWord(word string) string {
	var b strings.Builder
	b.WriteString("$'")
	for len(word) > 0 {
		r, n := utf8.DecodeRuneInString(word)
		switch {
		case r == utf8.RuneError && n == 1 || r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, word[0])
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			fallthrough
		default:
			b.WriteString(word[:n])
		}
		word = word[n:]
	}
	b.WriteByte('\'')
	return b.String()
}
