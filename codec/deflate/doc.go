// Package deflate is permessage-deflate (RFC 7692) over bytes at hand: what is
// negotiated, and the compression of single messages. It knows nothing of
// frames, sockets or goroutines.
//
// # Negotiation
//
// [Params] are the parameters of one offer, or of what was agreed on. A server
// has a [Policy] that answers an offer, a client checks the answer with
// [Params.Accepts]. Taking header fields apart is the websocket package's.
//
// # Compressing
//
// A [Deflater] compresses each message for itself, without the context of those
// before it, so that one result serves every receiver whose window is at least
// as large. An [Inflater] undoes what a peer has compressed, to a limit. A peer
// that compresses with context needs its [Window] kept from message to message;
// nothing else is ever kept for a connection.
//
// # The library
//
// The compressor is github.com/klauspost/compress/flate. On JSON of 1 to 64 KiB it
// takes half of the standard library's time at level 1 and a quarter at level 6 for
// the same size, it inflates without allocating, and it writes for windows of any
// size, which the standard library cannot. gobwas/ws/wsflate around it makes a
// new decompressor for each message (BenchmarkDeflate, BenchmarkInflate).
//
// # Concurrency
//
// A Deflater, an Inflater or a Window belongs to one goroutine at a time. Params
// and Policies are plain values.
package deflate
