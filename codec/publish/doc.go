// Package publish reads and writes the two protocols of the publish port: NDJSON (one JSON
// request a line) and RESP (the protocol of Redis: arrays of bulk strings and inline commands in,
// RESP2 or RESP3 out). Sniff tells which one a connection speaks.
//
// NDJSON goes through Lines, which splits a stream into lines, Request, which reads one, and AppendResults
// and AppendError, which answer it. RESP goes through RESPCommand, Payload and the
// AppendRESP... functions.
//
// Everything is pure computation on the caller's bytes; leftovers of a stream stay with the
// caller. A Lines belongs to one connection. A Request or RESPCommand is scratch space that its
// owner (a loop) uses for all of its connections; the slices in it point into the input or into its own
// buffer and are valid until either is reused. Each belongs to one goroutine at a time. Appending to a dst
// with capacity allocates nothing; nor does parsing, except to build the message of an error, and
// while the scratch space still grows.
package publish
