// Package websocket is RFC 6455 over byte slices: the opening handshake and the framing,
// for both ends, as functions and small state machines. It knows no sockets, clocks or
// goroutines.
//
// # Receiving
//
// A [Reader] is the receiving half of one connection. Its owner gives it the bytes of
// each read and gets complete messages back. If a message's frame is complete in these
// bytes, it is unmasked in place and handed on without a copy. The Reader keeps bytes
// only for a half-received frame or a fragmented message. It keeps them in pooled
// memory, which grows with what has arrived and never with what a header announces.
//
// If permessage-deflate was agreed on, a compressed message is inflated when its last
// frame is complete, up to the limit of a message. Then its text is checked. If the peer
// compresses with context, the Reader also keeps its window between messages.
//
// # Sending
//
// The Append functions lay frames out at the end of the caller's buffer. They allocate
// nothing if it has room. [BeginText] and [EndText] put the header in front of a text
// that is built in place.
//
// # Handshake
//
// [RequestLength] finds the end of a request's head, and [Upgrader.Upgrade] answers the
// request. [Request] and [HeadLength] are the client's side. The only extension that
// both know is permessage-deflate (RFC 7692).
//
// # What is from gobwas/ws
//
// The types of header, opcode and status, the header rules, the masking cipher, and the ranges
// of close codes are from github.com/gobwas/ws. Its frame readers are not used: they pull from
// an io.Reader, and lose the bytes of a header that has arrived in part. Its Upgrader is not
// used: it accepts control bytes, bare line feeds and repeated fields, and answers 400 where
// 426 is due. It takes as long (BenchmarkUpgrade).
//
// # Conformance
//
// rfc6455.md lists every requirement of RFC 6455, whom it binds here, and the tests that
// prove it, in this package and on the sockets of the servers and clients that use it.
// rfc7692.md does so for permessage-deflate. A test keeps the lists complete.
//
// # Concurrency
//
// A Reader belongs to one goroutine at a time, the one that owns its connection. A
// [ReaderConfig] and an [Upgrader] are not changed once in use and may be shared. All
// other functions are pure.
package websocket
