// Package history keeps the last events of channels in memory.
//
// A [Log] has the events of one stream, in order: their data, as it was published, and when
// that was. The frames that clients get are made of it when they are read, for many clients
// at a time. All logs of a process share a [Memory]. It gives out blocks of a few sizes,
// which lie in slabs without pointers, so a million retained events cost the garbage
// collector nothing, and what they take is known to the byte.
//
// A snapshot is a file with streams and their events. A [SnapshotWriter] and a [SnapshotReader]
// stream it, and know no more of a stream than what is in it.
//
// A Log belongs to whoever guards its stream. Any goroutine may use a Memory. A writer or reader
// belongs to one goroutine.
package history
