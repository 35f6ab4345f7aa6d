package poller

import (
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxEvents bounds how many ready sockets one wait reports; the rest are
// reported by the next, so a turn's length stays bounded.
const maxEvents = 512

// Interests of a socket in its loop's epoll instance.
const (
	interestRead  = unix.EPOLLIN
	interestWrite = unix.EPOLLOUT
	// hangup is reported whether asked for or not.
	hangup = unix.EPOLLERR | unix.EPOLLHUP
)

// Tokens tell what a ready event is about. Connections use their slot, which
// is not negative; listeners count down from firstListenerToken.
const (
	wakeToken          int32 = -1
	firstListenerToken int32 = -2
)

// epoll is one epoll instance with the eventfd that interrupts its wait.
type epoll struct {
	fd     int
	wakeFD int
	waking sync.Mutex // a wake never meets a closed wakeFD, whose number may be another's
	closed bool       // under waking
	events [maxEvents]unix.EpollEvent
}

func openEpoll() (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wakeFD, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("eventfd", err)
	}
	e := &epoll{fd: fd, wakeFD: wakeFD}
	if err := e.add(wakeFD, interestRead, wakeToken); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *epoll) add(fd int, interest uint32, token int32) error {
	return e.control(unix.EPOLL_CTL_ADD, fd, interest, token)
}

func (e *epoll) modify(fd int, interest uint32, token int32) error {
	return e.control(unix.EPOLL_CTL_MOD, fd, interest, token)
}

func (e *epoll) remove(fd int) error {
	return e.control(unix.EPOLL_CTL_DEL, fd, 0, 0)
}

func (e *epoll) control(op, fd int, interest uint32, token int32) error {
	event := unix.EpollEvent{Events: interest, Fd: token}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL,
		uintptr(e.fd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&event)), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// wait returns the ready events. A timeout of 0 polls; below 0 waits without
// end. Any failure other than an interruption is a broken invariant (a bad
// descriptor or address), so it panics.
func (e *epoll) wait(timeout time.Duration) []unix.EpollEvent {
	var n int
	var err error
	if timeout == 0 {
		n, err = e.poll()
	} else {
		n, err = unix.EpollWait(e.fd, e.events[:], milliseconds(timeout))
	}
	if err == unix.EINTR {
		return nil
	}
	if err != nil {
		panic(fmt.Sprintf("poller: epoll_wait: %v", err))
	}
	return e.events[:n]
}

// poll cannot block, so the scheduler need not hear of it.
func (e *epoll) poll() (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT,
		uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])), maxEvents, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// milliseconds rounds up, so that a wait never ends before its time and spins.
func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int((d + time.Millisecond - 1) / time.Millisecond)
}

// wake makes a wait return. It may be called from any goroutine, also after
// close. The lock is all but free beside the system call.
func (e *epoll) wake() {
	e.waking.Lock()
	defer e.waking.Unlock()
	if e.closed {
		return
	}
	one := [8]byte{1}
	// EAGAIN means that the counter is full, so the loop will wake anyway.
	_, _ = unix.Write(e.wakeFD, one[:])
}

func (e *epoll) drainWake() {
	var counter [8]byte
	_, _ = unix.Read(e.wakeFD, counter[:])
}

func (e *epoll) close() {
	e.waking.Lock()
	defer e.waking.Unlock()
	e.closed = true
	unix.Close(e.wakeFD)
	unix.Close(e.fd)
}
