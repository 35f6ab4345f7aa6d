package poller

import (
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
	timerToken         int32 = -2
	alarmToken         int32 = -3
	firstListenerToken int32 = -4
)

// epoll is one epoll instance with the eventfd that interrupts its wait, the
// timer that makes it tick and, once it was asked for, the timer that ends a
// wait at a given moment.
type epoll struct {
	fd      int
	file    *os.File           // owns fd, for the runtime's poller
	conn    syscall.RawConn    // of file
	look    func(uintptr) bool // poll for conn; made once, because making it allocates
	parked  bool               // the wait has found nothing ready and parked the goroutine
	wakeFD  int
	waking  sync.Mutex // a wake never meets a closed wakeFD, whose number may be another's
	closed  bool       // under waking
	timerFD int
	ticking bool // timerFD is armed
	alarmFD int  // -1 until first used
	ready   int  // events that the last look found
	events  [maxEvents]unix.EpollEvent
}

func openEpoll() (*epoll, error) {
	e := &epoll{fd: -1, wakeFD: -1, timerFD: -1, alarmFD: -1}
	if err := e.open(); err != nil {
		e.close()
		return nil, fmt.Errorf("open epoll instance: %w", err)
	}
	return e, nil
}

// open opens the descriptors; those it did open are closed by close.
func (e *epoll) open() (err error) {
	e.look = func(uintptr) bool {
		ready := e.poll()
		e.parked = e.parked || !ready
		return ready
	}
	if e.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if e.wakeFD, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if e.timerFD, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	return e.register()
}

// register connects the parts: eventfd and timer with the instance, the
// instance with the runtime's poller.
func (e *epoll) register() (err error) {
	if err := e.add(e.wakeFD, interestRead, wakeToken); err != nil {
		return err
	}
	if err := e.add(e.timerFD, interestRead, timerToken); err != nil {
		return err
	}
	// os.NewFile leaves descriptors alone that may block.
	if err := unix.SetNonblock(e.fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	e.file = os.NewFile(uintptr(e.fd), "epoll")
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

// wait returns the ready events. If it may block, it waits until there are any. A
// failure means a broken invariant (a bad descriptor or address), so it panics.
//
// To wait, the goroutine parks in the runtime's own poller, in which this instance is
// registered like a socket. A thread that slept in epoll_wait would keep its scheduler
// slot until the runtime's monitor thread took it away, which costs tens of wake-ups of
// that thread each time. If no call tells the scheduler that it blocks, the monitor
// itself sleeps. (docs/design.md has figures.)
func (e *epoll) wait(mayBlock bool) []unix.EpollEvent {
	e.parked = false
	if !mayBlock {
		e.poll()
	} else if err := e.conn.Read(e.look); err != nil {
		panic(fmt.Sprintf("poller: wait for events: %v", err))
	}
	return e.events[:e.ready]
}

// poll looks for ready events and tells whether there are any. It cannot block,
// so the scheduler need not hear of it.
func (e *epoll) poll() bool {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT,
		uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])), maxEvents, 0, 0, 0)
	switch errno {
	case 0:
		e.ready = int(n)
	case unix.EINTR:
		e.ready = 0
		return true // or what has become ready meanwhile would not end the wait
	default:
		panic(fmt.Sprintf("poller: epoll_wait: %v", errno))
	}
	return e.ready > 0
}

// tick makes waits return every TickInterval, or no more.
//
// A timer descriptor does this, and not a deadline of the runtime's: for those
// the monitor thread wakes up too.
func (e *epoll) tick(on bool) {
	if on == e.ticking {
		return
	}
	e.ticking = on
	var every unix.ItimerSpec
	if on {
		interval := unix.NsecToTimespec(int64(TickInterval))
		every = unix.ItimerSpec{Interval: interval, Value: interval}
	}
	setTimer(e.timerFD, &every)
}

// alarm makes a wait return after a time, once, and not at the time given
// before; 0 means never. It fails if there is no descriptor for the timer.
func (e *epoll) alarm(after time.Duration) error {
	if e.alarmFD < 0 {
		if err := e.openAlarm(); err != nil {
			return err
		}
	}
	once := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(after))}
	setTimer(e.alarmFD, &once)
	return nil
}

// openAlarm makes the second timer: most loops never need it.
func (e *epoll) openAlarm() error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	if err := e.add(fd, interestRead, alarmToken); err != nil {
		unix.Close(fd)
		return err
	}
	e.alarmFD = fd
	return nil
}

// setTimer arms a timer relative to now, or disarms it if value is 0, and
// forgets that it has expired.
func setTimer(fd int, value *unix.ItimerSpec) {
	_, _, errno := unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME,
		uintptr(fd), 0, uintptr(unsafe.Pointer(value)), 0, 0, 0)
	if errno != 0 {
		panic(fmt.Sprintf("poller: timerfd_settime: %v", errno))
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

// drain empties the counter of the eventfd or a timer, which is ready until
// then, and tells whether there was anything in it.
func drain(fd int) bool {
	var counter [8]byte
	_, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&counter)), uintptr(len(counter)))
	return errno == 0
}

func (e *epoll) close() {
	e.waking.Lock()
	defer e.waking.Unlock()
	e.closed = true
	for _, fd := range []int{e.wakeFD, e.timerFD, e.alarmFD} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	switch {
	case e.file != nil:
		e.file.Close()
	case e.fd >= 0:
		unix.Close(e.fd)
	}
}
