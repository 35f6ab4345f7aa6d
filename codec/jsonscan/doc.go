// Package jsonscan checks, walks and writes JSON (RFC 8259) in byte slices. It allocates
// nothing and builds no values.
//
// It is strict. It accepts a text exactly if RFC 8259 does and the text is valid UTF-8.
// That is what encoding/json.Valid accepts, but without its limit of 10,000 levels. A
// value with more levels than MaxDepth is valid, and is reported as deep. The check must
// be strict because the gateway sends the bytes on unchanged: clients close a connection
// on invalid UTF-8 (RFC 6455, 8.1) and throw on bad JSON.
//
// All functions are pure; any goroutine may call them. An Object, Array or Unquoter
// belongs to one goroutine at a time. Slices that are returned point into the input
// unless stated otherwise.
//
// # Why our own scanner
//
// sonic's native scanner (decoder.Skip) accepts bad escapes ("\x", "\u12"), raw control
// bytes in strings and invalid UTF-8. So each string would need a second pass. The
// scanner here checks everything in one pass, eight bytes at a time inside strings. On
// records of short members, which publishers usually send, it takes less time than Skip
// alone (BenchmarkValid against BenchmarkSonicSkip), and less than half of the time of
// encoding/json.Valid. On strings of a kilobyte and more, Skip's vector code is up to
// five times as fast as this pass, but the second pass that it would need is this one.
//
// sonic is used where it is faster. Its vectorised UTF-8 check reads values with bytes
// outside ASCII (four times as fast as unicode/utf8 there, BenchmarkUTF8). Its native
// unquote decodes strings with escapes.
package jsonscan
