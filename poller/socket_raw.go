//go:build !race

package poller

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls in this file never block, because every descriptor is non-blocking. So they
// need not tell the scheduler (RawSyscall), which costs more than a tenth of a small
// send.

func receive(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM,
		uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func send(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO,
		uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// sendBeforeClose is send for bytes that a FIN follows at once: both leave in one
// segment.
func sendBeforeClose(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO,
		uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL|unix.MSG_MORE, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// gather is the scratch of a vectored send; one per loop.
type gather struct {
	header  unix.Msghdr
	vectors [maxVectors]unix.Iovec
}

func (g *gather) send(fd int, buffers [][]byte) (int, error) {
	count := 0
	for _, b := range buffers {
		if len(b) == 0 {
			continue
		}
		g.vectors[count].Base = unsafe.SliceData(b)
		g.vectors[count].SetLen(len(b))
		count++
		if count == maxVectors {
			break
		}
	}
	g.header.Iov = &g.vectors[0]
	g.header.SetIovlen(count)
	n, _, errno := unix.RawSyscall(unix.SYS_SENDMSG,
		uintptr(fd), uintptr(unsafe.Pointer(&g.header)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	runtime.KeepAlive(buffers)
	clear(g.vectors[:count])
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func accept(fd int) (int, error) {
	accepted, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4,
		uintptr(fd), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(accepted), nil
}

func shutdownWrite(fd int) {
	// It fails only if the peer is gone, which reading will tell.
	_, _, _ = unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
}

// closeSocket does not wait for unsent bytes: SO_LINGER is set only for a reset.
func closeSocket(fd int) {
	_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}
