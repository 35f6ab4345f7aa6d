package poller_test

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// childRole returns what a copy of the test binary does instead of testing.
func childRole(name string) func() int {
	switch name {
	case "share":
		return share
	case "exhaust":
		return exhaust
	case "drain":
		return drain
	}
	panic("unknown role " + name)
}

// childArgument is the number that the role was given.
func childArgument() int {
	n, err := strconv.Atoi(os.Getenv(childEnv + "_ARG"))
	if err != nil {
		panic(err)
	}
	return n
}

// share listens with sockets that share their port from the start, as another
// program of the same user might, until its standard input ends.
func share() int {
	address := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	for range childArgument() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		}
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}
		if err == nil {
			err = unix.Bind(fd, address)
		}
		if err == nil {
			err = unix.Listen(fd, 16)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "share:", err)
			return 1
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			fmt.Fprintln(os.Stderr, "share:", err)
			return 1
		}
		address.Port = name.(*unix.SockaddrInet4).Port
	}
	fmt.Printf("listening 127.0.0.1:%d\n", address.Port)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// drain connects the given number of times to the address on the first line of
// its standard input, and reads and forgets what comes, until its standard
// input ends.
func drain() int {
	o := newChildOwner()
	var line string
	if _, err := fmt.Scanln(&line); err != nil {
		fmt.Fprintln(os.Stderr, "drain:", err)
		return 1
	}
	addr := netip.MustParseAddrPort(line)
	go o.obey(nil)
	o.tasks.Post(func() {
		for range childArgument() {
			c := new(testConn)
			c.connected, c.closed = make(chan struct{}, 1), make(chan error, 1)
			if err := o.loop.Dial(&c.Conn, addr, netip.AddrPort{}, c); err != nil {
				panic(err)
			}
		}
	})
	o.loop.Run()
	return 0
}
