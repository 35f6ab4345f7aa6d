// Package websocket is RFC 6455 over bytes at hand: the opening handshake and
// the framing, for both ends, as functions and small state machines over byte
// slices. It knows nothing of sockets, clocks or goroutines.
//
// # Receiving
//
// A [Reader] is the receiving half of one connection. Its owner hands it the
// bytes of each read and gets complete messages back; a message whose frame
// lies whole in those bytes is unmasked where it lies and handed on without a
// copy. Only a half-received frame or a fragmented message makes the Reader
// keep anything, in pooled memory that grows with what has arrived and never
// with what a header promised.
//
// Where permessage-deflate was agreed on, a compressed message is inflated when
// its last frame is complete, to the limit of a message and no further; its text
// is checked then. Of a peer that compresses with context the Reader keeps the
// window, between messages too.
//
// # Sending
//
// The Append functions lay frames out at the end of the caller's buffer and
// allocate nothing if it has room. [BeginText] and [EndText] put the header in
// front of a text that is built in place.
//
// # Handshake
//
// [RequestLength] finds the end of a request's head and [Upgrader.Upgrade]
// answers it; [Request] and [HeadLength] are the client's side. Of extensions,
// both know permessage-deflate (RFC 7692).
//
// # What is gobwas/ws and what is not
//
// Header, opcode and status types, the header rules (ws.CheckHeader), the
// masking cipher (ws.Cipher), the ranges of close codes (ws.CheckCloseFrameData)
// and the close body are github.com/gobwas/ws. Its frame readers are not used:
// they pull from an io.Reader, which loses the bytes of a header that has
// arrived in part. Nor is its Upgrader: it cannot tell a missing Upgrade or
// version from a malformed one (400 where 426 is due), lets pass control bytes,
// bare line feeds and repeated Host, key and version fields, and prefers the
// client's order of subprotocols. BenchmarkUpgrade has both on the same request
// of a browser: they take about as long, but this package's answer, which
// checks more, allocates nothing and gobwas's three times.
//
// # Conformance
//
// rfc6455.md lists every requirement of RFC 6455, whom it binds here, and the
// tests that prove it, in this package and on the sockets of the servers and
// clients that are built on it; rfc7692.md does so for permessage-deflate. A
// test keeps the lists whole.
//
// # Concurrency
//
// A Reader belongs to one goroutine at a time, the one that owns its
// connection. A [ReaderConfig] and an [Upgrader] are read-only once in use and
// may be shared. Everything else is a pure function.
package websocket
