// Package publish reads and writes the two protocols of the publish port. NDJSON is one
// JSON request a line. RESP is the protocol of Redis: arrays of bulk strings and inline
// commands in, RESP2 or RESP3 out. [Sniff] finds out which one a connection speaks.
//
// For NDJSON, [Lines] splits a stream into lines, [Request] reads one, and AppendResult
// and AppendError answer it. For RESP there are [RESPCommand], Payload and the AppendRESP
// functions.
//
// All functions are pure computation on the caller's bytes. The caller keeps the rest of
// a stream that is not handled yet. A Lines belongs to one connection. A Request or
// RESPCommand is scratch space that a loop uses for all of its connections. Each belongs
// to one goroutine at a time. The slices in them point into the input or into their own
// buffer, and are valid until either is used again.
//
// Appending to a dst with capacity allocates nothing. Parsing allocates only for the
// message of an error, and while the scratch space still grows.
package publish
