package echo_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/echo"
)

// BenchmarkRoundTrip sends messages over loopback and awaits the echoes. The
// client is as plain as can be; its time is in the figures.
func BenchmarkRoundTrip(b *testing.B) {
	for _, bench := range []struct{ size, inFlight int }{{128, 1}, {128, 64}, {64 << 10, 1}, {1 << 20, 1}} {
		b.Run(fmt.Sprintf("%d bytes, %d in flight", bench.size, bench.inFlight), func(b *testing.B) {
			c := connect(b, serve(b, echo.Config{}))
			_ = c.SetDeadline(time.Time{})
			var requests, replies []byte
			for range bench.inFlight {
				requests = append(requests, masked(ws.OpBinary, string(noise(bench.size)))...)
				replies = websocket.AppendFrame(replies, ws.OpBinary, noise(bench.size))
			}
			b.SetBytes(int64(bench.size * bench.inFlight))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(requests); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c.TCPConn, replies); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
