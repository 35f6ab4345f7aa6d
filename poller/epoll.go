package poller

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
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
	fd       int
	file     *os.File        // owns fd, for the runtime's poller
	conn     syscall.RawConn // of file
	wakeFD   int
	waking   sync.Mutex // a wake never meets a closed wakeFD, whose number may be another's
	closed   bool       // under waking
	deadline time.Time  // that is set on file; zero: none
	ready    int        // events that the last look found
	events   [maxEvents]unix.EpollEvent
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
	// os.NewFile leaves descriptors alone that may block.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		unix.Close(wakeFD)
		return nil, os.NewSyscallError("fcntl", err)
	}
	e := &epoll{fd: fd, file: os.NewFile(uintptr(fd), "epoll"), wakeFD: wakeFD}
	if err := e.register(); err != nil {
		e.close()
		return nil, fmt.Errorf("register epoll instance: %w", err)
	}
	return e, nil
}

// register connects the parts: the eventfd with the instance, the instance with
// the runtime's poller.
func (e *epoll) register() (err error) {
	if err := e.add(e.wakeFD, interestRead, wakeToken); err != nil {
		return err
	}
	if e.conn, err = e.file.SyscallConn(); err != nil {
		return err
	}
	return e.file.SetReadDeadline(time.Time{}) // fails if the runtime cannot wait for it
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

// wait returns the ready events. Below 0, the timeout has no end; at 0, wait
// only polls. Any failure other than an interruption is a broken invariant (a
// bad descriptor or address), so it panics.
//
// Waiting is left to the runtime's own poller, in which this instance is
// registered like a socket: the goroutine parks. A thread that slept in
// epoll_wait would keep its scheduler slot until the runtime's monitor thread
// came to take it away, which costs tens of wake-ups of that thread each time.
// Where no call is announced to the scheduler, the monitor itself sleeps.
// (docs/design.md has figures.)
func (e *epoll) wait(timeout time.Duration) []unix.EpollEvent {
	e.ready = 0
	if timeout == 0 {
		e.poll(0)
		return e.events[:e.ready]
	}
	e.setDeadline(timeout)
	err := e.conn.Read(e.poll)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		panic(fmt.Sprintf("poller: wait for events: %v", err))
	}
	return e.events[:e.ready]
}

// poll looks for ready events and tells whether there are any. It cannot block,
// so the scheduler need not hear of it.
func (e *epoll) poll(uintptr) bool {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT,
		uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])), maxEvents, 0, 0, 0)
	switch errno {
	case 0:
		e.ready = int(n)
	case unix.EINTR:
		e.ready = 0
	default:
		panic(fmt.Sprintf("poller: epoll_wait: %v", errno))
	}
	return e.ready > 0
}

// setDeadline makes a wait end in time. One that is set already and is earlier
// stays: to end a wait for nothing now and then costs less than to set a
// deadline for each.
func (e *epoll) setDeadline(timeout time.Duration) {
	var deadline time.Time
	if timeout > 0 {
		now := time.Now()
		deadline = now.Add(timeout)
		if e.deadline.After(now) && !e.deadline.After(deadline) {
			return
		}
	} else if e.deadline.IsZero() {
		return
	}
	e.deadline = deadline
	if err := e.file.SetReadDeadline(deadline); err != nil {
		panic(fmt.Sprintf("poller: set the deadline of a wait: %v", err))
	}
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
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(e.wakeFD), uintptr(unsafe.Pointer(&one)), uintptr(len(one)))
}

func (e *epoll) drainWake() {
	var counter [8]byte
	_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(e.wakeFD), uintptr(unsafe.Pointer(&counter)), uintptr(len(counter)))
}

func (e *epoll) close() {
	e.waking.Lock()
	defer e.waking.Unlock()
	e.closed = true
	unix.Close(e.wakeFD)
	e.file.Close()
}
