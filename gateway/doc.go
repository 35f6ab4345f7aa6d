// Package gateway is the data plane of fleetcast: sessions of WebSocket clients, channels
// and their subscribers, the publish port, the admin port, and the way of an event between
// them.
//
// It wires the packages below it (docs/contributing.md lists them), runs, drains, sums and
// reconfigures a gateway, and watches it for incidents. docs/design.md has the way of an event
// through them.
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
