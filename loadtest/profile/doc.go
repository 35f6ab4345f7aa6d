// Package profile tells the load harness how a kind of WebSocket server is spoken to: what to send,
// what the server's messages mean, and how events are published. So servers of any protocol are
// measured by the same clients, with the same events and the same clock.
//
// A profile is a YAML text. Those that are built in are files too, in the folder builtin; a user's
// own is read from a file of the same form. docs/profiles.md explains every key.
//
// # The language
//
// A message is recognised by a rule, in one of four ways:
//
//	when: push.pub               the message is JSON and has a value at this path
//	when: type = "event"         the message is JSON and has this scalar at this path
//	when: [a.b, c = 1, d = true] all of these hold
//	prefix: P                    the message begins with this text; the rest is its data
//	equals: '{}'                 the message is this text
//	pattern: "E {length} {data}" the message is this text, with placeholders in it
//
// A path is a sequence of names with dots between them, each the key of an object's member or the
// index of an array's element. Texts to be sent hold placeholders: {channel}, {channel_json} (quoted
// and escaped), {length} and {data}. That is all.
//
// Rules are tried in a fixed order, events first; the first that applies decides. A message that
// then lacks what its kind needs is Unknown, as is one that no rule knows and JSON that is
// malformed or has a path twice.
//
// # Use
//
// Everything is pure computation on the caller's bytes: no sockets, no clock. [Load] and [Parse] make
// a [Profile], which is immutable and may be shared by all goroutines. Each makes its own
// [Codec], whose Next is called for every message that is received; it reads the message once, and
// once more for every step down to the paths in it.
package profile
