package token

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// breath lets a goroutine wait until the runtime has looked for ready sockets, and no
// longer. Loops wait for their sockets with the runtime's poller. That looks when a
// processor has nothing else to run, or when nobody has looked for 10 ms. So one
// goroutine that computes without end delays every loop of its processor by 10 ms, even
// if it calls runtime.Gosched. One that sleeps wakes too early or, on an idle
// processor, after a millisecond.
//
// It has a descriptor that becomes ready when the goroutine begins to wait: whoever looks
// finds the loops' sockets together with it.
type breath struct {
	file *os.File // an eventfd
	raw  syscall.RawConn
}

func newBreath() (*breath, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an eventfd: %w", err)
	}
	file := os.NewFile(uintptr(fd), "eventfd")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("having an eventfd polled: %w", err)
	}
	return &breath{file, raw}, nil
}

// take waits. One goroutine at a time may call it.
func (b *breath) take() error {
	rung := false
	var failed error
	err := b.raw.Read(func(fd uintptr) bool {
		var count [8]byte
		if !rung {
			rung = true
			count[0] = 1
			_, failed = unix.Write(int(fd), count[:])
			return failed != nil
		}
		_, failed = unix.Read(int(fd), count[:])
		return true
	})
	if err != nil {
		return err
	}
	return failed
}

func (b *breath) close() { b.file.Close() }
