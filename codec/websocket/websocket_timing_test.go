package websocket_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
)

// BenchmarkReader takes one text frame, whole or split. Each turn first puts
// the masked bytes back, because the Reader unmasks in place; "copy alone" is
// the part of that.
func BenchmarkReader(b *testing.B) {
	for _, size := range []int{32, 128, 4096} {
		stream := websocket.AppendMaskedFrame(nil, ws.OpText, bytes.Repeat([]byte("x"), size), mask)
		work := make([]byte, len(stream))
		for _, split := range []struct {
			name  string
			chunk int
		}{{"whole", len(stream)}, {"in two", len(stream)/2 + 1}, {"byte by byte", 1}} {
			b.Run(fmt.Sprintf("%d bytes %s", size, split.name), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(stream)))
				var r websocket.Reader
				for b.Loop() {
					copy(work, stream)
					for rest := work; len(rest) > 0; {
						chunk := rest[:min(split.chunk, len(rest))]
						if _, _, _, err := r.Next(chunk, server); err != nil {
							b.Fatal(err)
						}
						rest = rest[len(chunk):]
					}
					r.Recycle()
				}
			})
		}
		b.Run(fmt.Sprintf("%d bytes copy alone", size), func(b *testing.B) {
			b.SetBytes(int64(len(stream)))
			for b.Loop() {
				copy(work, stream)
			}
		})
	}
}

func BenchmarkUnmask(b *testing.B) {
	for _, size := range []int{32, 128, 4096, 64 << 10} {
		payload := make([]byte, size)
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				ws.Cipher(payload, mask, 0)
			}
		})
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	for _, size := range []int{32, 128, 4096} {
		payload := make([]byte, size)
		dst := make([]byte, 0, size+16)
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				dst = websocket.AppendFrame(dst[:0], ws.OpText, payload)
			}
		})
		b.Run(fmt.Sprintf("%d bytes masked", size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				dst = websocket.AppendMaskedFrame(dst[:0], ws.OpText, payload, mask)
			}
		})
	}
}

// browserHead is what Chromium sends to a local page's server.
var browserHead = []byte("GET /ws HTTP/1.1\r\nHost: localhost:8080\r\nConnection: Upgrade\r\nPragma: no-cache\r\n" +
	"Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" +
	"Upgrade: websocket\r\nOrigin: http://localhost:8080\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: en-US,en;q=0.9\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nSec-WebSocket-Protocol: fleetcast.v1\r\n\r\n")

// BenchmarkUpgrade answers a browser's request, here and by gobwas/ws (which
// checks less) over the same bytes.
func BenchmarkUpgrade(b *testing.B) {
	b.Run("fleetcast", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]byte, 0, 1024)
		for b.Loop() {
			n := websocket.HeadLength(browserHead)
			if _, _, err := upgrader.Upgrade(dst, browserHead[:n]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("gobwas", func(b *testing.B) {
		b.ReportAllocs()
		u := ws.Upgrader{Protocol: func(name []byte) bool { return string(name) == v1 }}
		memory := struct {
			*bytes.Reader
			io.Writer
		}{bytes.NewReader(browserHead), io.Discard}
		for b.Loop() {
			memory.Reset(browserHead)
			if _, err := u.Upgrade(memory); err != nil {
				b.Fatal(err)
			}
		}
	})
}
