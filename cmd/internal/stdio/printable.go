package stdio

import (
	"strings"
	"unicode"
)

// Printable leaves out what a terminal would obey instead of show.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}
