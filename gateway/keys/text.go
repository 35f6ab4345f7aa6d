package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"fleetcast/gateway/stats"
)

// Prefix begins the text of every key, so that people and scanners for leaked secrets
// know one when they see it.
const Prefix = "fck_"

// random is how many random bytes a key has.
const random = 32

// TextLength is the length of a key's text, in bytes.
var TextLength = len(Prefix) + base64.RawURLEncoding.EncodedLen(random)

// New makes a key. Its text fits into an HTTP header field, a URL's user information, a
// line of a file and a word of a shell without quotes.
func New() string {
	var b [random]byte
	_, _ = rand.Read(b[:]) // it never fails
	return Prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// HasForm tells whether a text could be a key: its prefix, its length and its alphabet
// are right. Another text is refused without a look at any key.
func HasForm(text []byte) bool {
	if len(text) != TextLength || string(text[:len(Prefix)]) != Prefix {
		return false
	}
	for _, c := range text[len(Prefix):] {
		if lower := c | 0x20; (lower < 'a' || lower > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// NoForm says what is wrong with a text that could not be a key.
const NoForm = "this is no key: keys begin with " + Prefix + ", and fleetcast key new makes them"

// Digest is the SHA-256 of a key's text. It is no secret: nobody finds the text by it.
type Digest [sha256.Size]byte

// DigestOf is the digest of a text, the same that sha256sum prints for it.
func DigestOf(text []byte) Digest { return sha256.Sum256(text) }

// UnmarshalText reads 64 hexadecimal digits.
func (d *Digest) UnmarshalText(text []byte) error {
	if strings.HasPrefix(string(text), Prefix) {
		return fmt.Errorf("is the key itself; write its SHA-256 here, which fleetcast key new prints")
	}
	if len(text) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("has %d characters; the SHA-256 of a key has %d hexadecimal digits", len(text), hex.EncodedLen(len(d)))
	}
	if _, err := hex.Decode(d[:], text); err != nil {
		return fmt.Errorf("is not hexadecimal; the SHA-256 of a key has the digits 0 to 9 and a to f")
	}
	return nil
}

// String is the digest in lower case.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Shown is a text that may have a key in it, for people: without the key.
func Shown(text string) string { return stats.Redact(text) }
