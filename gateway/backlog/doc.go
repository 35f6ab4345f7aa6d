// Package backlog keeps what a client's socket has not taken yet. A [Backlog] is one
// client's queue. It sends the rest of a half-sent frame first, then the session's own
// frames, then events, each behind the gap that tells what is missing before it. A
// channel's policy says which events are dropped. A [Ledger] counts the backlogs of one
// shard. A [Memory] counts what those of all shards keep alive. The package knows events
// and frames, and no sockets or sessions.
//
// A Backlog and its Ledger belong to the goroutine of their shard, except that any
// goroutine may read Ledger.Sizes. Any goroutine may call the methods of Memory.
package backlog
