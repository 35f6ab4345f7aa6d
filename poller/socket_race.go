//go:build race

package poller

import "golang.org/x/sys/unix"

// The twin of socket_raw.go for the race detector: the same calls through
// x/sys/unix, which tells the detector which memory the kernel reads and
// writes.

func receive(fd int, p []byte) (int, error) {
	n, err := unix.Read(fd, p)
	return max(n, 0), err
}

func send(fd int, p []byte) (int, error) {
	n, err := unix.SendmsgN(fd, p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return max(n, 0), err
}

func sendBeforeClose(fd int, p []byte) (int, error) {
	n, err := unix.SendmsgN(fd, p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL|unix.MSG_MORE)
	return max(n, 0), err
}

type gather struct{}

func (*gather) send(fd int, buffers [][]byte) (int, error) {
	var vectors [][]byte
	for _, b := range buffers {
		if len(b) > 0 && len(vectors) < maxVectors {
			vectors = append(vectors, b)
		}
	}
	n, err := unix.SendmsgBuffers(fd, vectors, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return max(n, 0), err
}

func accept(fd int) (int, error) {
	accepted, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return accepted, err
}

func shutdownWrite(fd int) { _ = unix.Shutdown(fd, unix.SHUT_WR) }

func closeSocket(fd int) { _ = unix.Close(fd) }
