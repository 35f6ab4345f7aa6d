// Package profile tells the load harness how to speak to a kind of WebSocket server: what
// to send, what the server's messages mean, and how events are published. So the same
// clients, with the same events and the same clock, measure servers of any protocol.
//
// A profile is a YAML text. The built-in profiles are files in the folder builtin. A user's
// own profile is a file of the same form. docs/profiles.md explains every key.
//
// # The language
//
// A rule recognises a message in one of these ways:
//
//	when: push.pub               the message is JSON and has a value at this path
//	when: type = "event"         the message is JSON and has this scalar at this path
//	when: [a.b, c = 1, d = true] all of these hold
//	prefix: P                    the message begins with this text; the rest is its data
//	equals: '{}'                 the message is this text
//	pattern: "E {length} {data}" the message is this text, with placeholders in it
//
// A path is a sequence of names with dots between them. Each is the key of an object's
// member or the index of an array's element. Texts to be sent hold placeholders:
// {channel}, {channel_json} (quoted and escaped), {length} and {data}. That is all.
//
// Rules are tried in a fixed order, events first, and the first that applies decides. A
// message is Unknown if it then lacks what its kind needs, if no rule knows it, or if it is
// JSON that is malformed or has a path twice.
//
// # Use
//
// Everything is pure computation on the caller's bytes, without sockets or a clock. [Load]
// and [Parse] make a [Profile], which is immutable and may be shared by all goroutines.
// Each goroutine makes its own [Codec], whose Next is called for every received message.
// Next reads the message once, and once more for every step down to the paths in it.
package profile
