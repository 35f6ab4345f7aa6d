package poller

import (
	"os"

	"golang.org/x/sys/unix"
)

// SetReceiveBuffer bounds what the kernel keeps of received bytes that were not
// yet read, and so what the peer can send ahead. It ends the kernel's own choice,
// which grows with what is read, to tens of megabytes. The kernel doubles bytes
// and keeps its own account of each packet from it.
func (c *Conn) SetReceiveBuffer(bytes int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_RCVBUF, bytes))
}
