// Package peer is what the Go servers here share: the command line, and the set
// of connected clients that an event goes to.
package peer

import (
	"fmt"
	"net"
	"os"
)

// Mark is the first byte of a message that is broadcast.
const Mark = 'P'

// Listen listens on the port of 127.0.0.1 that is the command line's one
// argument. It ends the process if it cannot.
//
// Nothing is done about the descriptor limit: package os raises the soft one to
// the hard one before main begins.
func Listen() net.Listener {
	if len(os.Args) != 2 {
		fmt.Fprintf(os.Stderr, "usage: %s PORT\n", os.Args[0])
		os.Exit(2)
	}
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", os.Args[1]))
	if err != nil {
		Fail(err)
	}
	return listener
}

// Fail ends the process with an error.
func Fail(err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
	os.Exit(1)
}
