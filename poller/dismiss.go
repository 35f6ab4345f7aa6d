package poller

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// lingerPatience is how long a loop keeps a dismissed socket until its peer has
// had its say.
const lingerPatience = time.Second

// lingering are sockets that are closed but for their peers. They are looked at
// on each tick and are not in epoll, which would cost more than looking.
type lingering []lingerer

type lingerer struct {
	fd    int
	until time.Duration
}

// Dismiss sends a last answer on a socket that is not registered, such as one
// just accepted, and closes it, at the least cost. What has arrived is read
// first, because closing a socket with unread bytes becomes a reset, which may
// take the answer back. complete tells whether that is all that the peer has to
// say. If not, what is still to come would have the same effect, so the socket
// lingers: closed for sending, its input dropped, until the peer closes or a
// second has passed. Only LoopConfig.Lingering do; others are closed at once. It must not be
// called by a handler that still needs what it was given of the read buffer.
func (l *Loop) Dismiss(fd int, answer []byte, complete func(read []byte) bool) {
	n, err := receive(fd, l.buffer)
	over := ends(n, err) // who has closed its side may still read
	if _, err := send(fd, answer); err != nil {
		over = true
	}
	if over || complete(l.buffer[:max(n, 0)]) || len(l.lingering) >= l.maxLingering || l.closed {
		closeSocket(fd)
		return
	}
	shutdownWrite(fd)
	l.lingering = append(l.lingering, lingerer{fd, l.now + lingerPatience})
}

// tick closes those that have lingered for long enough.
func (ls *lingering) tick(l *Loop) {
	kept := (*ls)[:0]
	for _, s := range *ls {
		if ends(receive(s.fd, l.buffer)) || l.now >= s.until {
			closeSocket(s.fd)
		} else {
			kept = append(kept, s)
		}
	}
	*ls = kept
}

// ends tells from the result of receive whether nothing more will come.
func ends(n int, err error) bool {
	return err == nil && n == 0 || err != nil && err != unix.EAGAIN && err != unix.EINTR
}

// close closes all.
func (ls *lingering) close() {
	for _, s := range *ls {
		closeSocket(s.fd)
	}
	*ls = nil
}

// PeerGone tells whether the peer of a socket that is not registered has closed
// or reset the connection, also if there are bytes to be read before.
func PeerGone(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	for {
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}
