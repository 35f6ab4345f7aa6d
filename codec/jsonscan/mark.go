package jsonscan

import "bytes"

// utf8Mark is the byte order mark that editors of Windows put before a text in UTF-8.
var utf8Mark = []byte("\xef\xbb\xbf")

// TrimMark returns text without a byte order mark of UTF-8 before it. A JSON text has none, and a reader may
// ignore it (RFC 8259, 8.1).
func TrimMark(text []byte) []byte { return bytes.TrimPrefix(text, utf8Mark) }

// HasUTF16Mark reports whether text starts with a byte order mark of UTF-16, so that its writer is told to
// send UTF-8.
func HasUTF16Mark(text []byte) bool {
	return len(text) >= 2 && (text[0] == 0xff && text[1] == 0xfe || text[0] == 0xfe && text[1] == 0xff)
}
