package poller

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Traffic is what the kernel has counted of a TCP connection.
type Traffic struct {
	Received uint64        // bytes that have arrived, in order
	Sent     uint64        // bytes that have left, each counted once
	Unsent   uint64        // bytes that wait in the send buffer and have not left
	Acked    uint64        // bytes that the peer has acknowledged
	InFlight int           // segments that have left and are not acknowledged
	Quiet    time.Duration // since bytes last left, sent again or for the first time
	Lost     bool          // the last that was sent has been sent again, and is not acknowledged
	RTT      time.Duration // smoothed round-trip time
}

// Traffic asks the kernel for the connection's counters: a system call, so that
// nothing has to be counted beside each send and receive. It fails if the
// socket is closed or not of TCP.
func (c *Conn) Traffic() (Traffic, error) {
	info, err := unix.GetsockoptTCPInfo(int(c.fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return Traffic{}, fmt.Errorf("ask for a connection's traffic: %w", err)
	}
	return Traffic{
		Received: info.Bytes_received,
		Sent:     info.Bytes_sent - info.Bytes_retrans,
		Unsent:   uint64(info.Notsent_bytes),
		Acked:    info.Bytes_acked,
		InFlight: int(info.Unacked),
		Quiet:    time.Duration(info.Last_data_sent) * time.Millisecond,
		Lost:     info.Retransmits > 0,
		RTT:      time.Duration(info.Rtt) * time.Microsecond,
	}, nil
}
