package websocket

import (
	"math/bits"
	"unicode/utf8"
)

// checkText checks as much of b as can be judged. n bytes are complete
// characters; what follows them, at most three bytes, is the beginning of a
// character that may still become valid. ok is false as soon as no bytes to
// come could make b valid UTF-8 (RFC 6455, 8.1).
func checkText(b []byte) (n int, ok bool) {
	n = len(b)
	for back := 1; back < utf8.UTFMax && back <= len(b); back++ {
		if start := len(b) - back; utf8.RuneStart(b[start]) {
			// FullRune holds bytes that are wrong already to be a full
			// (erroneous) character, so they stay for Valid to refuse.
			if !utf8.FullRune(b[start:]) {
				n = start
			}
			break
		}
	}
	return n, utf8.Valid(b[:n])
}

// lacking is how many bytes complete the character that begun is the beginning
// of, as checkText leaves it; 0 if begun is empty.
func lacking(begun []byte) int {
	if len(begun) == 0 {
		return 0
	}
	size := bits.LeadingZeros8(^begun[0]) // the first byte says it in ones (RFC 3629, 3)
	return size - len(begun)
}
