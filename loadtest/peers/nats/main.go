// Command nats is a NATS server on 127.0.0.1: clients by WebSocket on the first port that
// it is given, and by TCP on the second.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "nats:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 2 {
		return fmt.Errorf("want a WebSocket port and a TCP port")
	}
	var ports [2]int
	for i, argument := range arguments {
		var err error
		if ports[i], err = strconv.Atoi(argument); err != nil {
			return fmt.Errorf("port %q: %w", argument, err)
		}
	}
	const host = "127.0.0.1"
	options := &server.Options{Host: host, Port: ports[1], NoSigs: true}
	options.Websocket = server.WebsocketOpts{Host: host, Port: ports[0], NoTLS: true}
	s, err := server.NewServer(options)
	if err != nil {
		return fmt.Errorf("making the server: %w", err)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGTERM, unix.SIGINT)
	s.Start()
	<-ended
	s.Shutdown()
	return nil
}
