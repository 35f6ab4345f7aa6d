// Package loadtest is the load harness's library: swarms of WebSocket clients
// that verify every event which they receive, publishers that know when each
// event was due, latency histograms, and the cost of the server under test as
// the kernel accounts for it. It drives any server that it has a profile for,
// over sockets only.
//
// # The model
//
// A scenario ([RunFanout]) is a sequence of phases run by its caller's
// goroutine. The work is done by a swarm: a few workers, each of them the owner
// of one poller loop with its share of the clients. The first worker also owns
// the publisher and its door, the connection through which events enter the
// server. The scenario speaks to a worker only by mail, and workers tell the
// publisher by mail which events all of their clients have.
//
// # Who owns what
//
// Everything reachable from a worker (clients, tally, histograms, tracks)
// belongs to its loop's goroutine. What workers share is read-only once they
// run, except the schedule, which is atomic: the publisher writes it, all read.
//
// # Verification
//
// The data of an event is {"s":sequence,"t":due time,"p":padding}: the sequence
// number of the event in the run, the time at which it was due in nanoseconds
// of Unix time, and padding that follows from the sequence number. So every
// byte of it is known in advance. The first client of a worker to get an event
// takes it apart; the frame then serves as reference, and for all other clients
// the verification is a comparison with it, byte for byte, header included.
//
// # Latency
//
// The clock of an event starts when it was due: at a fixed rate that is its
// place in the schedule, however late the harness or the server's back-pressure
// let it out; with a window it is the moment at which the window had room. It
// stops when the client's bytes are read from the socket.
package loadtest
