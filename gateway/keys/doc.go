// Package keys has the named keys by which publishers and operators show who they are,
// and what each key lets its holder do.
//
// A key is 32 random bytes in a text form with a prefix ([New]). The configuration has
// only the SHA-256 of that text. No slow hash is needed: it would protect a password,
// which can be guessed, but 32 random bytes cannot.
//
// A [Set] is immutable. Any goroutine may use it and its holders. A [Cache] belongs to one
// goroutine.
package keys
