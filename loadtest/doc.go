// Package loadtest is the load harness's library: swarms of WebSocket clients that verify
// every event that they receive, publishers that know when each event was due, latency
// histograms, and the cost of the server under test as the kernel accounts for it. It
// drives any server that has a target profile (package profile), over sockets only.
//
// # The model
//
// A scenario ([RunFanout], [RunStorm] ...) is a sequence of phases. Its caller's goroutine
// plays them with the means of a run (run.go):
//
//	scenario -> order -> crew -> swarm of each process -> worker -> cohorts -> clients
//	         -> publishing loop -> publisher of each flow -> door -> server
//	clients -> completion -> publisher; clients -> answer -> samples -> result
//
// A plan says what a run consists of: flows (streams of events, each over some channels)
// and groups of clients. A swarm is the clients of one process, spread over a few workers.
// A worker owns one poller loop. A cohort is the clients of one group on one worker. The
// scenario gives orders, which are plain data: connect, drop, pause, sample. In a run of
// several processes one process leads, and members ([ServeMember]) get the same orders.
//
// The publishers have a loop of their own, so that an event gets out when it is due. With a
// window they wait for completions: a worker reports when all of its clients that are
// awaited have an event.
//
// # Who owns what
//
// Everything reachable from a worker belongs to its loop's goroutine. Everything reachable
// from the publishing loop belongs to that loop's. Others send mail. The board is what all
// processes see at any moment: shared memory with atomic words, each with one writer. Four
// times a second a goroutine asks the swarms for what they have counted, and keeps the
// timeline.
//
// # Verification
//
// docs/loadtesting.md says what is verified, and how latency is measured. Every byte of an
// event is known in advance. The first client of a worker to get an event parses it, with its
// offset. Its frame is then the reference, with which the frames of all other clients are
// compared byte for byte. If the server compresses each message for itself, compressed frames
// are compared as they arrive, with a reference of their own. If it compresses with context,
// each client's frames are inflated and parsed.
//
// A client that comes back continues from the offset in the answer to its subscription. What
// it missed while it was away of its own will is not lost. What it missed because the server
// ended the connection is lost. If the server sends no offsets, the first event that such a
// client gets counts as its first.
//
// A client that comes back with the position that it has (recovery.go) is owed all that it has missed. Its sequence goes on
// where it was, so an event that comes twice, late or never is found as any other. What the server
// says in its answer is noted beside: how far the missed events go, and which of them are lost. When
// the client leaves again, or at the end, that is compared with what came.
//
// A gap must be in the place of its events: after all before it, before the next one, and next
// to no other gap. So every event is delivered, told in a gap, or lost, and the harness finds an
// event that is two of these.
package loadtest
