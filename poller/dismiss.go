package poller

import (
	"bytes"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// lingerPatience is how long a loop keeps a dismissed socket until its peer has
// had its say.
const lingerPatience = time.Second

// lingering are sockets that have their answer and wait for their peers to close. They
// are looked at on each tick, and when there are too many. They are not in epoll,
// because that would cost more.
type lingering struct {
	sockets []lingerer
	looked  time.Duration // when they were looked at; the loop's time
}

// lingerer is one of them. It waits for its peer's first bytes, is answered, and
// then waits for the rest.
type lingerer struct {
	fd     int
	until  time.Duration
	answer []byte // nil: it was sent
	// complete is as for Dismiss.
	complete func(read []byte) bool
}

// Dismiss sends a last answer on a socket that is not registered, such as one
// just accepted, and closes it, at the least cost.
//
// What has arrived is read first, because closing a socket with unread bytes sends a
// reset, which may destroy the answer. complete tells whether these bytes are the whole
// request. If not, later bytes would have the same effect, so the socket lingers: its
// input is dropped until the peer closes or a second has passed. If nothing has
// arrived, the answer waits until something does. Some clients, such as Go's, give up a
// connection on which the answer comes before they have sent the request.
//
// It lingers only if fewer than most sockets do. Otherwise it is answered and closed at
// once. Lingering sockets take descriptors beside those of connections. A handler that
// still needs its part of the read buffer must not call Dismiss.
func (l *Loop) Dismiss(fd int, answer []byte, complete func(read []byte) bool, most int) {
	s := lingerer{fd: fd, until: l.now + lingerPatience, answer: answer, complete: complete}
	impatient := l.closed || !l.lingering.room(l, most)
	if over := s.listen(l.buffer, impatient); over || impatient {
		closeSocket(fd)
		return
	}
	if s.answer != nil {
		s.answer = bytes.Clone(s.answer)
	}
	l.lingering.sockets = append(l.lingering.sockets, s)
}

// listen drops what has arrived and answers the first of it, or if impatient
// even silence. It tells whether the peer can say nothing more.
func (s *lingerer) listen(scratch []byte, impatient bool) (over bool) {
	n, err := receive(s.fd, scratch)
	over = err == nil && n == 0 || err != nil && err != unix.EAGAIN && err != unix.EINTR
	if s.answer == nil || n <= 0 && !over && !impatient {
		return over
	}
	if _, err := sendBeforeClose(s.fd, s.answer); err != nil {
		return true
	}
	s.answer = nil
	if over = over || s.complete(scratch[:max(n, 0)]); !over {
		shutdownWrite(s.fd)
	}
	return over
}

// room tells whether one more may linger. A storm makes room for itself: what
// those before have sent has arrived by now. That is looked for once a turn.
func (ls *lingering) room(l *Loop, most int) bool {
	if len(ls.sockets) >= most && ls.looked != l.now {
		ls.look(l)
	}
	return len(ls.sockets) < most
}

// look closes the sockets whose peers have closed or whose time is over.
func (ls *lingering) look(l *Loop) {
	ls.looked = l.now
	kept := ls.sockets[:0]
	for _, s := range ls.sockets {
		late := l.now >= s.until
		if s.listen(l.buffer, late) || late {
			closeSocket(s.fd)
		} else {
			kept = append(kept, s)
		}
	}
	clear(ls.sockets[len(kept):])
	ls.sockets = kept
}

// close answers those that wait for it, and closes all.
func (ls *lingering) close(l *Loop) {
	for _, s := range ls.sockets {
		s.listen(l.buffer, true)
		closeSocket(s.fd)
	}
	ls.sockets = nil
}

// PeerGone tells whether the peer of a socket that is not in epoll has closed or reset
// the connection, even if there are unread bytes before that.
func PeerGone(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	for {
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}
