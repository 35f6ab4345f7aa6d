package poller_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"fleetcast/poller"
)

// A peer cannot send further ahead of the reader than the buffers have room.
func TestReceiveBuffer(t *testing.T) {
	const buffer, most = 4 << 10, 96 << 10 // 64 KiB here, and 170 where the kernel chooses
	server := must[net.Listener](t)(net.Listen("tcp4", "127.0.0.1:0"))
	defer server.Close()
	tl := startLoop(t, poller.LoopConfig{})
	c := tl.dial(netip.MustParseAddrPort(server.Addr().String()), netip.AddrPort{}, nil)
	peer := must[net.Conn](t)(server.Accept()).(*net.TCPConn)
	defer peer.Close()
	await(t, c.connected, "Connected")
	tl.do(func() {
		c.PauseReading()
		if err := c.SetReceiveBuffer(buffer); err != nil {
			t.Error(err)
		}
	})
	if err := peer.SetWriteBuffer(buffer); err != nil {
		t.Fatal(err)
	}
	if err := peer.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := peer.Write(make([]byte, 1<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) || n > most {
		t.Errorf("%d bytes were taken, want at most %d: %v", n, most, err)
	}
}
