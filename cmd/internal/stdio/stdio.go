// Package stdio lets the commands write to standard streams whose readers may go away.
// A lost reader is an error of the write and never ends the process. Any goroutine may
// call its functions and methods.
package stdio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// ExitBrokenPipe is the exit status of a command whose output has lost its reader: the
// one that a shell shows for a process that SIGPIPE has ended.
const ExitBrokenPipe = 128 + int(unix.SIGPIPE)

// KeepRunning makes a write to a broken pipe fail with EPIPE on the standard
// output and error too. Without it Go's runtime ends the process by SIGPIPE. The
// processes that are started get the usual behaviour.
func KeepRunning() {
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE) // ignoring it would be inherited
}

// Output is a standard output that remembers its first failure. Later writes are lost.
// Any goroutine may call its methods.
type Output struct {
	to  io.Writer
	mu  sync.Mutex
	err error
}

// NewOutput writes to w.
func NewOutput(w io.Writer) *Output { return &Output{to: w} }

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.to.Write(p)
	o.err = err
	return n, err
}

// Err is the first failure.
func (o *Output) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// Exit is the exit status of a command that has ended with code. If the reader has
// gone, it is ExitBrokenPipe and nothing is printed. Another failure of the output is
// explained on complaints, and makes the command fail.
func (o *Output) Exit(code, failure int, command string, complaints io.Writer) int {
	switch err := o.Err(); {
	case err == nil:
		return code
	case errors.Is(err, unix.EPIPE):
		return ExitBrokenPipe
	default:
		fmt.Fprintf(complaints, "%s: write the standard output: %v\n", command, err)
		return failure
	}
}

// WhenUnread calls gone when the output has lost its reader. That can be known if the
// output is a pipe, a socket or a terminal. A command that seldom writes would
// otherwise notice late.
func (o *Output) WhenUnread(gone func()) {
	file, ok := o.to.(*os.File)
	if !ok {
		return
	}
	go func() {
		fds := []unix.PollFd{{Fd: int32(file.Fd())}}
		for {
			_, err := unix.Poll(fds, -1)
			switch {
			case errors.Is(err, unix.EINTR):
			case err != nil:
				return
			case fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0:
				o.mu.Lock()
				if o.err == nil {
					o.err = unix.EPIPE
				}
				o.mu.Unlock()
				gone()
				return
			default:
				return // it cannot be watched
			}
		}
	}()
}
