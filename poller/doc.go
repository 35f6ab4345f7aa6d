// Package poller is the Linux reactor under the gateway, the echo server and
// the load harness: event loops over non-blocking TCP sockets. It knows bytes
// and file descriptors; it knows nothing of WebSocket, JSON or channels.
//
// # The model
//
// A [Loop] is one goroutine and one epoll instance. It runs, in this order and
// for ever: wait for ready sockets, serve each of them, give its [Owner] a turn
// (mailbox, queued work), tick the coarse clock, close what was given up. An
// owner that must act at an exact moment asks for a turn with [Loop.WakeAt]. A
// [Conn] is one socket of a loop; its [Handler] is told of bytes, of the peer's
// FIN, of room to send, of the sweep and, exactly once, of its end. A
// [Listener] feeds a loop with accepted sockets. A [Mailbox] is the only way
// into a loop from another goroutine.
//
// # Who owns what
//
// A loop owns its sockets, its listeners and its one read buffer. Everything
// reachable from a Loop belongs to the goroutine in [Loop.Run] and is touched
// by no other, with these exceptions, safe from any goroutine: [Loop.Wake],
// [Loop.Stop] and [Mailbox.Post]. Before Run is called, the goroutine that made
// the loop may add listeners to it.
//
// # System calls
//
// Epoll is level-triggered and every epoll call is in epoll.go. Calls that
// cannot block go through RawSyscall, which spares the runtime's bookkeeping for
// blocking calls on each send; those on client sockets are in
// socket_raw.go and, under the race detector, take the annotated road
// (socket_race.go). A loop that waits parks in the runtime's own poller: there
// must be a scheduler slot (GOMAXPROCS) for each busy loop and one more, or a
// loop that parks is woken only by the runtime's monitor, up to 10 ms late.
package poller
