// Package ingest takes events from publishers: the publish port, which speaks NDJSON and
// RESP, and the publisher behind the API, which has no socket.
//
// A [Loop] is one event loop of the publish port. It owns the connections of its
// publishers, their unfinished input and their places; only its goroutine touches them.
// A [Port] is what the loops have in common. [API] guards itself by a lock.
//
// Each request becomes a submission to the engine (package stream). Its answer is written
// when the engine has completed it, in the order of the publisher's requests.
//
// Any goroutine may post to a loop, and may call the methods of Port and API.
package ingest
