// Package jsonscan checks, walks and writes JSON (RFC 8259) held in byte slices, without
// allocating and without building values.
//
// It is strict: a text is accepted exactly when RFC 8259 does (as encoding/json.Valid does, but without
// its limit of 10,000 levels) and it is valid UTF-8. A value that nests deeper than MaxDepth is
// valid, and is reported as deep. What passes through the gateway is sent on byte for byte
// to clients that close a connection on invalid UTF-8 (RFC 6455, 8.1) or throw on bad JSON, so nothing
// looser will do.
//
// Everything is a pure function of its arguments, or a small value owned by its caller: any
// goroutine may call anything; a value (Object, Array, Unquoter) belongs to one goroutine at
// a time. Slices handed out point into the input unless stated otherwise.
//
// # Why an own scanner
//
// sonic's native scanner (decoder.Skip) accepts bad escapes ("\x", "\u12"), raw control bytes
// in strings and invalid UTF-8, so every string would have to be found and read once more. The
// scanner here checks all in one pass, eight bytes at a time inside strings. On records of short members,
// which is what publishers send, it takes less time than Skip alone (BenchmarkValid against
// BenchmarkSonicSkip), and less than half of the time of encoding/json.Valid. On strings of a kilobyte and more Skip's
// vector code is up to five times as fast as this pass, but the second reading that it leaves
// to do is this very pass.
//
// sonic serves where it wins: its vectorised UTF-8 check runs over values that hold a byte
// outside ASCII (four times as fast as unicode/utf8 there, BenchmarkUTF8), and its native unquote decodes strings
// with escapes.
package jsonscan
