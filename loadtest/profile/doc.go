// Package profile tells the load harness how to speak to a kind of WebSocket server: what
// to send, what the server's messages mean, and how events are published. So the same
// clients, with the same events and the same clock, measure servers of any protocol.
//
// A profile is a YAML text. The built-in profiles are files in the folder builtin. A user's
// own profile is a file of the same form. docs/profiles.md explains every key, and the rules
// by which messages are recognised. Rules are tried in a fixed order, events first, and the
// first that applies decides. A message is Unknown if it then lacks what its kind needs, if
// no rule knows it, or if it is JSON that is malformed or has a path twice.
//
// Everything is pure computation on the caller's bytes, without sockets or a clock. [Load]
// and [Parse] make a [Profile], which is immutable and may be shared by all goroutines.
// Each goroutine makes its own [Codec], whose Next is called for every received message.
// Next reads the message once, and once more for every step down to the paths in it.
package profile
