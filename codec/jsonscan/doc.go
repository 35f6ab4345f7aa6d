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
// docs/design.md says why the scanner is our own, and what sonic is used for.
package jsonscan
