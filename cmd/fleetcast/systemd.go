package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// socketNames are the names that FileDescriptorName= of a socket unit may give
// a socket. Each is one port of serve.
var socketNames = []string{"clients", "publish", "admin"}

// maxActivated bounds how many sockets systemd may pass.
const maxActivated = 64

// activatedSockets returns the listening sockets that systemd passed to this
// process, by their names (sd_listen_fds(3)), or none if it passed none. Their
// owner closes them. The environment that announces them is unset, so that
// children do not take it for theirs. After an error the sockets must not be
// used; the process is expected to end.
func activatedSockets() (map[string][]*os.File, error) {
	if err := checkActivation(); err != nil {
		return nil, err
	}
	sockets := make(map[string][]*os.File)
	for _, file := range activation.Files(true) {
		name := file.Name() // LISTEN_FD_3 for a socket that has no name
		if !slices.Contains(socketNames, name) {
			return nil, fmt.Errorf("systemd passed a socket with the name %q, which does not say what the socket is for: "+
				"set FileDescriptorName= in its .socket unit to %s", name, orList(socketNames))
		}
		if err := checkListening(file); err != nil {
			return nil, fmt.Errorf("systemd passed something that cannot be used as %q: %w", name, err)
		}
		sockets[name] = append(sockets[name], file)
	}
	return sockets, nil
}

// checkActivation refuses a number of descriptors that cannot be meant.
func checkActivation() error {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil // the sockets are not for this process
	}
	text := os.Getenv("LISTEN_FDS")
	if count, err := strconv.Atoi(text); err != nil || count < 0 || count > maxActivated {
		return fmt.Errorf("the environment variable LISTEN_FDS is %q, must be a number of sockets from 0 to %d", text, maxActivated)
	}
	return nil
}

// checkListening makes sure that a descriptor is a listening TCP socket.
func checkListening(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("no descriptor: %w", err)
	}
	var found error
	err = raw.Control(func(fd uintptr) { found = checkListeningFD(int(fd)) })
	if err != nil {
		return fmt.Errorf("no descriptor: %w", err)
	}
	return found
}

func checkListeningFD(fd int) error {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return fmt.Errorf("descriptor %d is not a socket: %w", fd, err)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return fmt.Errorf("read the type of descriptor %d: %w", fd, err)
	}
	if (domain != unix.AF_INET && domain != unix.AF_INET6) || kind != unix.SOCK_STREAM {
		return fmt.Errorf("descriptor %d is not a TCP socket: write ListenStream= with a port or an address and a port", fd)
	}
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return fmt.Errorf("read whether descriptor %d listens: %w", fd, err)
	}
	if listening == 0 {
		return fmt.Errorf("descriptor %d does not listen: leave Accept= off in the .socket unit", fd)
	}
	return nil
}

// orList writes "a, b or c".
func orList(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
