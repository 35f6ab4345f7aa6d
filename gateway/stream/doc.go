// Package stream keeps the order of events. A stream is a channel as publishers see
// it: each of its events has the next offset and goes, in that order, to the shards
// that have subscribers. The package lays events out, once in each format, and
// counts who holds them. It knows a shard as a [Port] to post to, and nothing of
// sockets, sessions or subscribers.
//
// Events come in by a [Request], which the goroutine of its submitter owns. Another [Engine] than the
// streams may complete it later.
//
// Any goroutine may call the methods of Streams; a stripe's lock guards each stream.
// An Event is immutable from when it is posted, but that frames of other formats are
// made at first need. A Port's mailbox and an Interest belong to their shard, but for
// Post and the number of subscribers. A WakeSet belongs to one goroutine.
package stream
