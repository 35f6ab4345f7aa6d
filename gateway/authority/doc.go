// Package authority decides who a client is, from what it shows: a resume ticket, a
// token, or its request, about which a web hook or the gateway's embedder is asked. The
// package asks; what a token or a ticket is worth, others know.
//
// An Authority is immutable. Any goroutine may use it. A reload makes a new one.
package authority
