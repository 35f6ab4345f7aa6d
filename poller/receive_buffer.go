package poller

import (
	"os"

	"golang.org/x/sys/unix"
)

// SetReceiveBuffer bounds how many received bytes the kernel keeps unread, and so how
// much the peer can send ahead. Without it the kernel's own choice grows with what is
// read, to tens of megabytes. The kernel doubles bytes, and its own data for each
// packet counts too.
func (c *Conn) SetReceiveBuffer(bytes int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_RCVBUF, bytes))
}
