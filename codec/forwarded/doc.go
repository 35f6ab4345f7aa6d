// Package forwarded finds the address of the client in the header fields that proxies
// add to an HTTP request: X-Forwarded-For or Forwarded (RFC 7239).
//
// Each proxy appends the address from which it got the request. So only the end of the
// list can be trusted, as far back as the proxies are trusted. What comes before is
// whatever the client has sent. The functions read a list from its right end, and
// nothing to the left of the answer can change the answer.
//
// All functions are pure. Any goroutine may call them.
package forwarded
