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

// EchoArgument is the second argument of a server that echoes instead of
// broadcasting.
const EchoArgument = "echo"

// HistoryArgument is the second argument of a server that keeps events for clients that
// come back.
const HistoryArgument = "history"

// ListenOrEcho is [Listen] for a server that has both: echo tells that a second
// argument asks for an echo server.
func ListenOrEcho() (listener net.Listener, echo bool) { return ListenOr(EchoArgument) }

// ListenOr is [Listen] for a server that may have a second argument; given tells that
// it has.
func ListenOr(argument string) (listener net.Listener, given bool) {
	arguments := os.Args[1:]
	if len(arguments) == 2 && arguments[1] == argument {
		return listen(arguments[0]), true
	}
	if len(arguments) != 1 {
		misused("PORT [" + argument + "]")
	}
	return listen(arguments[0]), false
}

// Listen listens on the port of 127.0.0.1 that is the command line's one
// argument. It ends the process if it cannot.
//
// Nothing is done about the descriptor limit: package os raises the soft one to
// the hard one before main begins.
func Listen() net.Listener {
	if len(os.Args) != 2 {
		misused("PORT")
	}
	return listen(os.Args[1])
}

func misused(arguments string) {
	fmt.Fprintf(os.Stderr, "usage: %s %s\n", os.Args[0], arguments)
	os.Exit(2)
}

func listen(port string) net.Listener {
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", port))
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
