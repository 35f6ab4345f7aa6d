package echo_test

import (
	"bytes"
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
	for _, bench := range []struct {
		op             ws.OpCode
		size, inFlight int
	}{
		{ws.OpBinary, 128, 1}, {ws.OpBinary, 128, 64},
		{ws.OpBinary, 64 << 10, 1}, {ws.OpText, 64 << 10, 1},
		{ws.OpBinary, 256 << 10, 1},
		{ws.OpBinary, 1 << 20, 1}, {ws.OpText, 1 << 20, 1},
		{ws.OpBinary, 4 << 20, 1},
		{ws.OpBinary, 16 << 20, 1}, {ws.OpText, 16 << 20, 1},
	} {
		kind := map[ws.OpCode]string{ws.OpText: "text", ws.OpBinary: "binary"}[bench.op]
		b.Run(fmt.Sprintf("%s, %d bytes, %d in flight", kind, bench.size, bench.inFlight), func(b *testing.B) {
			c := connect(b, serve(b, echo.Config{}))
			_ = c.SetDeadline(time.Time{})
			payload := noise(bench.size)
			if bench.op == ws.OpText {
				payload = bytes.Repeat([]byte("fleetcast "), bench.size/10+1)[:bench.size]
			}
			var requests, replies []byte
			for range bench.inFlight {
				requests = append(requests, masked(bench.op, string(payload))...)
				replies = websocket.AppendFrame(replies, bench.op, payload)
			}
			answer := make([]byte, len(replies))
			b.SetBytes(int64(bench.size * bench.inFlight))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(requests); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c.TCPConn, answer); err != nil {
					b.Fatal(err)
				}
			}
			if !bytes.Equal(answer, replies) {
				b.Error("the last echo differs")
			}
		})
	}
}
