// Package poller is the Linux reactor under the gateway, the echo server and the load
// harness: event loops over non-blocking TCP sockets. It knows bytes and file
// descriptors. It does not know WebSocket, JSON or channels.
//
// # The model
//
// A [Loop] is one goroutine with one epoll instance. Each of its rounds does this, in
// this order: wait for ready sockets, serve each of them, give its [Owner] a turn
// (mailbox, queued work), tick the coarse clock, close the connections that were given
// up. An owner that must act at an exact moment asks for a turn with [Loop.WakeAt].
//
// A [Conn] is one socket of a loop. Its [Handler] is called for bytes, for the peer's
// FIN, for room to send, for the sweep and, exactly once, for the end of the connection.
// A [Listener] gives accepted sockets to a loop. A [Mailbox] is the only way into a loop
// from another goroutine.
//
// # Who owns what
//
// A loop owns its sockets, its listeners and its one read buffer. Everything that is
// reachable from a Loop belongs to the goroutine in [Loop.Run]. Other goroutines may
// only call [Loop.Wake], [Loop.Stop] and [Mailbox.Post]. Before Run is called, the
// goroutine that made the loop may add listeners to it.
//
// # System calls
//
// Epoll is level-triggered, and every epoll call is in epoll.go. Calls that cannot block
// use RawSyscall. Those on client sockets are in socket_raw.go. Under the race detector
// socket_race.go replaces it, with calls that the detector sees. A loop that waits parks in
// the runtime's own poller. There must be a scheduler slot (GOMAXPROCS) for each busy loop
// and one more: docs/design.md says why.
package poller
