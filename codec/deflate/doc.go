// Package deflate is permessage-deflate (RFC 7692) over byte slices: the negotiation, and
// the compression of single messages. It knows no frames, sockets or goroutines.
//
// # Negotiation
//
// [Params] are the parameters of one offer, or of the agreement. A server answers an
// offer by its [Policy]. A client checks the answer with [Params.Accepts]. The websocket
// package parses the header fields.
//
// # Compressing
//
// A [Deflater] compresses each message for itself, without the context of earlier
// messages. So one result serves every receiver whose window is at least as large. An
// [Inflater] inflates what a peer has compressed, up to a limit. For a peer that
// compresses with context, the caller keeps a [Window] from message to message. Nothing
// else is kept for a connection.
//
// # The library
//
// The compressor is github.com/klauspost/compress/flate. It is faster than the standard
// library's, inflates without allocating, and writes for windows of any size. gobwas/ws/wsflate
// makes a new decompressor for each message (BenchmarkDeflate, BenchmarkInflate).
//
// # Concurrency
//
// A Deflater, an Inflater or a Window belongs to one goroutine at a time. Params
// and Policies are plain values.
package deflate
