// Package proxyproto reads the header by which a proxy says, at the start of a
// connection, whose connection it forwards: HAProxy's PROXY protocol, versions 1 and 2
// (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt).
//
// [Parse] is a pure function over the bytes that have arrived so far; any goroutine may
// call it. The caller decides which peers may send such a header.
//
// The parser is our own because github.com/pires/go-proxyproto reads from a bufio.Reader
// that blocks, and needs a header of version 1 in one piece. To find out whether a
// header is complete is most of parsing it. The tests compare the two.
package proxyproto
