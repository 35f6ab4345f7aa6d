// Package backlog keeps what a client's socket has not taken yet. A [Backlog] is one
// client's queue: it sends the end of a half-sent frame first, then the session's own
// frames, then events, each behind the gap that tells what is missing before it. A
// channel's policy says which events are dropped. A [Ledger] counts the backlogs of
// one shard, a [Memory] what those of all shards hold alive. The package knows
// events and frames, and nothing of sockets or sessions.
//
// A Backlog and its Ledger belong to the goroutine of their shard, but for
// Ledger.Sizes, which any goroutine may read. Any goroutine may call the methods of
// Memory.
package backlog
