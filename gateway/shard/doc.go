// Package shard serves clients. A [Shard] is one event loop with the clients that the
// kernel gave to it: their sessions, their subscriptions, and the fan-out of events to
// them.
//
// # Who owns what
//
// A shard owns its sessions, its channels with their rosters, its backlogs and its
// counters. Only the goroutine of its loop touches them, and calls their methods. [Shared]
// is what the shards have in common; its counts and what its fields point to may be used by
// any goroutine. Any goroutine may call Post, by which everything else asks a shard for
// something.
//
// # Flow
//
// Clients come in by admission.go and source.go, which decide who may connect from where
// and how often, and by handshake.go and deciding.go. A session (session.go) cuts the bytes
// of a client into frames in place (input.go). Each message is a command (commands.go),
// which changes the shard's channels (channel.go) and is answered at once.
//
// Events come by mail from the streams. The shard groups those of a channel and sends each
// group to all subscribers, in slices (fanout.go). What a socket does not take becomes the
// session's backlog; patrol.go and relieve.go end clients that are slow or hold too much.
//
// A client that asks for earlier events gets them by a catch-up (catchup.go), which reads
// runs of frames that the shard has laid out for all its clients (framed.go), and joins the
// roster when it has reached the fan-out.
//
// leaving.go sends clients away in a drain.
package shard
