// Package stream keeps the order of events. A stream is a channel as publishers see it:
// each of its events gets the next offset and goes, in that order, to the shards that have
// subscribers. The package lays out each event once in each format, and counts its holders.
// It knows a shard as a [Port] to post to, and no sockets, sessions or subscribers. It also
// keeps the last events of each stream, as the rules say, for those who ask for them later.
//
// Events come in by a [Request], which the goroutine of its submitter owns. Another
// [Engine] than the streams may complete a request later.
//
// Any goroutine may call the methods of Streams; a stripe's lock guards each stream. An
// Event is immutable once it is posted, except that frames of other formats are made at
// first need. A Port's mailbox and an Interest belong to their shard, except that any
// goroutine may call Post and read the number of subscribers. A WakeSet belongs to one
// goroutine.
package stream
