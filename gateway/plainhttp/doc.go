// Package plainhttp serves HTTP requests that come to the port of clients, and bounds
// what requests may take: places, time for a body, time for an answer.
//
// Loops hand over a socket together with the bytes that they have read; from then on the
// [Port] owns it. Any goroutine may call HandOver and the handlers; Run and Stop are
// called once each.
package plainhttp
