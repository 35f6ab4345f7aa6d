// Package forwarded finds out from the header fields that proxies add to an HTTP
// request, X-Forwarded-For or Forwarded (RFC 7239), where it comes from.
//
// Each proxy appends the address that it got the request from, so only the end
// of the list is certain: as far back as the proxies are trusted. What stands
// before is whatever the client has sent. So lists are read from their right
// end, and nothing to the left of the answer can change it.
package forwarded
