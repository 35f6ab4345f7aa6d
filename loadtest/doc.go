// Package loadtest is the load harness's library: swarms of WebSocket clients
// that verify every event which they receive, publishers that know when each
// event was due, latency histograms, and the cost of the server under test as
// the kernel accounts for it. It drives any server that there is a target
// profile for (package profile), over sockets only.
//
// # The model
//
// A scenario ([RunFanout], [RunStorm] ...) is a sequence of phases, played by
// its caller's goroutine with the means of a run (run.go):
//
//	scenario -> order -> crew -> swarm of each process -> worker -> cohorts -> clients
//	         -> publishing loop -> publisher of each flow -> door -> server
//	clients -> completion -> publisher; clients -> answer -> samples -> result
//
// A plan says what a run consists of: flows (streams of events, each over some
// channels) and groups of clients. A swarm is the clients of one process, spread
// over a few workers, each of them the owner of one poller loop; a cohort is
// the clients of one group that one worker has. The scenario gives orders, which
// are plain data: connect, drop, pause, sample. A run of several processes has
// one that leads, and members ([ServeMember]) that get the same orders.
//
// The publishers have a loop to themselves, so that an event gets out when it is
// due. With a window they wait for completions: a worker tells when all of its
// clients that are awaited have an event.
//
// # Who owns what
//
// Everything reachable from a worker belongs to its loop's goroutine, everything
// reachable from the publishing loop to that loop's; others send mail. What all
// processes see at any moment is the board: shared memory with atomic words,
// each of which has one writer. A goroutine of samples asks the swarms for what
// they have counted, every quarter of a second, and keeps the timeline.
//
// # Verification
//
// The data of an event is {"s":sequence,"t":"due time","p":"padding"}: the sequence
// number of the event in its flow, the time at which it was due in nanoseconds
// of Unix time, and padding that follows from the sequence number. So every
// byte of it is known in advance. A server may also parse the JSON and write it
// anew: then the members are compared. The time is a string because many languages
// round large numbers. The first client of a worker to get an event
// takes it apart, its offset included; the frame then serves as reference, and
// for all other clients the verification is a comparison with it, byte for byte.
//
// Compressed frames are compared as they arrive, with a reference of their own, if
// the server compresses each message for itself; if it does so with context, each
// client's are inflated and taken apart.
//
// A client that comes back goes on where its subscription's answer says that the
// channel is. What it missed while it was away of its own will is not lost; what
// it missed because the server had ended the connection is. If the server tells
// no offsets, the first event that such a client gets is taken for its first.
//
// A gap, by which a server tells what it will not deliver, must stand in the place
// of its events: behind all before it, ahead of the next one, next to no other gap.
// So every event is delivered, told of or lost, and what is two of these is found.
// If events have keys, by which a server may conflate, none may be told of that is
// the newest of its key.
//
// If the server does not answer subscriptions, probes go ahead of the events: they
// are published again and again until each client has seen one.
//
// # Obedience
//
// A client that is turned away with a time to come back at (503 or 429 and
// Retry-After) comes back then; it counts as turned away and not as refused. One
// whose attempt fails otherwise waits for a random time that grows, if its group
// is one that comes back.
//
// # Latency
//
// The clock of an event starts when it was due: at a fixed rate that is its
// place in the schedule, however late the harness or the server's back-pressure
// let it out; with a window it is the moment at which the window had room. It
// stops when the client's bytes are read from the socket. That of a ping starts
// when it was due, too, and stops with the pong to it or to a later one.
package loadtest
