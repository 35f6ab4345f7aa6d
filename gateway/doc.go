// Package gateway is the data plane of fleetcast: sessions of WebSocket clients, channels
// and their subscribers, the publish port, the admin port, and the way of an event between
// them.
//
// # Packages
//
// It uses the packages below it. From the bottom up, each uses only those before it: mem
// has rings and buffers, stats the figures, limits rates, quotas and credits, rules what
// holds for a channel, dialect the seam to client protocols, stream the order of events,
// settings the configuration, backlog what sockets have not taken, plainhttp requests that
// are not for a WebSocket, ingest the publish port, shard the clients, admin
// the admin port. This package wires them, runs, drains, sums and reconfigures a gateway,
// and watches it for incidents.
//
// # Flow
//
// An ingest loop parses a publisher's bytes (package ingest). Each request becomes an event.
// Under the lock of its channel's stripe it gets its offset, its frame is laid out once,
// and it is posted to the mailbox of every shard that has subscribers (package stream). A
// shard takes its mail, groups the events of a channel and writes each group with one send
// to each subscriber, in slices, so that no channel holds up another (package shard). The first
// shard that needs an event in another format makes it, and all subscribers of that format
// get the same bytes (package stream, format.go and compression.go). What a socket does not
// take becomes the session's backlog (package backlog). The channel's policy says what is
// dropped from it (package rules), gaps tell the client, and the memory of all backlogs is
// bounded.
//
// A session cuts a client's bytes into frames in place. Each message is a command, which
// changes the shard's channels and is answered at once (package shard). drain.go stops a
// gateway: publishers first, then clients.
//
// # Who owns what
//
// A [shard.Shard] is one poller.Loop with its sessions, its channel table and its counters.
// Nothing else touches them. Ingest loops own the connections of publishers. Goroutines share these
// things:
//
//   - the streams: the lock of its stripe guards each
//   - events: immutable once sequenced, and counted by reference; their variants are
//     claimed by an atomic pointer, and immutable once built
//   - the credits, the memory of backlogs, and the counts of backlogs by size: atomic
//   - the quotas of addresses: under a lock, when a connection opens or closes
//   - the mailboxes: the only way into a loop
//
// All other code, such as the admin port, asks a loop by posting to it a
// function that the loop calls.
//
// Any goroutine may call the methods of [Gateway].
package gateway
