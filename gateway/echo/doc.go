// Package echo is a WebSocket echo server on the gateway's poller and codec, for
// conformance suites and latency baselines. Every text or binary message comes back as
// one frame, every ping as a pong, every close with its code. A connection that breaks
// RFC 6455 is closed with the code that the RFC names. Every path, origin and subprotocol
// is accepted.
//
// # The model
//
// A [Server] has one shard for each loop. A shard accepts on its own listening sockets and
// owns its sessions, one for each connection. Only the loop's goroutine touches them. Any
// goroutine may call [Server.Shutdown] and [Server.Close]: they set a flag and wake the
// loops.
//
// See phase for the course of a session. The replies to one read leave in one write.
//
// # Compression
//
// With Config.Compression, permessage-deflate is agreed on with every parameter. Each loop
// has one compressor for each window. It compresses a message without interruption. A
// session that has much to echo lets the others work between two messages.
//
// # Memory
//
// A peer that does not read its echoes is not read any more. At most [MaxUnsent] bytes
// and one message wait for it, and TCP pushes it back. A large message waits in the buffer
// that it was gathered in, which may be up to four times as large. An idle connection
// holds no buffer.
package echo
