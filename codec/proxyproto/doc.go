// Package proxyproto reads the header with which a proxy tells, at the start of
// a connection, whose connection it passes on: the PROXY protocol of HAProxy,
// versions 1 and 2
// (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt).
//
// [Parse] is a function over the bytes that have arrived so far. Which peers may
// send such a header is for the caller to decide.
//
// github.com/pires/go-proxyproto reads from a bufio.Reader that blocks, and wants
// a header of version 1 to come in one piece; finding out whether a header is
// complete is most of parsing it. So the parser here is our own, and the tests
// compare it with that library.
package proxyproto
