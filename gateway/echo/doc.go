// Package echo is a WebSocket echo server on the gateway's poller and codec,
// for conformance suites and latency baselines: every text or binary message
// comes back as one frame, every ping as a pong, every close with its code.
// What breaks RFC 6455 is closed with the code that the RFC names. Every path,
// origin and subprotocol is accepted.
//
// # The model
//
// A [Server] has one shard per loop. A shard accepts on its own listening
// sockets and owns its sessions, one per connection; all of that is touched by
// the loop's goroutine only. [Server.Shutdown] and [Server.Close] may be called
// from any goroutine: they set a flag and wake the loops.
//
// A session gathers the request head, then echoes, then says its last words
// and waits for the peer to hang up (see phase). Replies that one read produces
// leave in one write.
//
// # Compression
//
// With Config.Compression, permessage-deflate is agreed on with every parameter.
// Each loop has one compressor for each window, and works on a message as long as
// it takes; a session that has much to echo yields to the others between two
// messages.
//
// # Memory
//
// A peer that does not read its echoes is no longer read from: at most
// [MaxUnsent] bytes and one message wait for it, so its sending is pushed back
// by TCP. A large message waits in the buffer that it was gathered in, which may
// be of less than four times its size. An idle connection holds no buffer.
package echo
