// Package gateway is the data plane of fleetcast: sessions of WebSocket
// clients, channels and their subscribers, the publish port, and what moves an
// event from the one to the other.
//
// # Packages
//
// The packages below this one, from the bottom up; each uses only those before it:
// mem has rings and buffers, stats the figures, limits rates, quotas and credits,
// rules what holds for a channel, stream the order of events, settings the
// configuration, backlog what sockets have not taken. This package has the shards,
// the publish port and the admin port, which use all of them.
//
// # Flow
//
// A publisher's bytes are parsed on an ingest loop (ingest.go). Each request
// becomes an event: under the lock of its channel's stripe it gets its offset,
// its frame is laid out once, and it is posted to the mailbox of every shard
// that has subscribers (package stream). A shard takes its mail, groups what
// belongs to the same channel and writes each group with one send per
// subscriber, in slices, so that no channel holds up another (fanout.go).
// Subscribers that take compressed messages get the same bytes too, made at first
// need by whichever shard comes first (package stream, format.go and compression.go).
// What a socket does not take becomes the session's backlog (package backlog); what of
// it is dropped, as the channel's policy says (package rules), is told as a gap,
// and what all of them hold is bounded.
//
// A client's bytes are framed in place by its session (session.go, input.go); each
// message is a command (commands.go) that changes the shard's channels
// (channel.go) and is answered at once. Who may connect from where, and how often,
// is said in admission.go, source.go, deciding.go and package limits; how a gateway stops in drain.go
// and leaving.go.
//
// # Who owns what
//
// A shard is one poller.Loop with its sessions, its channel table and its
// counters; nothing else touches them. Ingest loops own the connections of
// publishers. What is shared between goroutines is: the streams, each guarded
// by its stripe's lock; events, immutable once sequenced and counted by
// reference, whose compressed variants are claimed by an atomic pointer and
// immutable once built; the credits, the memory of backlogs and the counts of
// backlogs by size, which are atomic; the quotas of addresses, which connections
// take and give under a lock; and the mailboxes, which are the
// only way into a loop. Everything else asks a loop by posting to it a
// function that the loop calls: so does the admin port (admin.go, api.go).
//
// Of [Gateway], all methods may be called from any goroutine.
package gateway
