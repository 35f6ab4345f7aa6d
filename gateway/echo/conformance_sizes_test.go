package echo_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/echo"
)

// patient is connect for messages that take their time.
func patient(t *testing.T, server *echo.Server) *rawClient {
	t.Helper()
	c := connect(t, server)
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	return c
}

// letters is a text or a binary of so many bytes.
func letters(kind ws.OpCode, size int) []byte {
	unit := "BAsd7&jh23"
	if kind == ws.OpBinary {
		unit = "\x00\xfe\xff\x80\x7f"
	}
	return []byte(strings.Repeat(unit, size/len(unit)+1)[:size])
}

// largest bounds the messages of a test in bytes: with -short only the shapes
// count.
func largest(size int) int {
	if testing.Short() {
		return min(size, 256<<10)
	}
	return size
}

var kinds = map[string]ws.OpCode{"text": ws.OpText, "binary": ws.OpBinary}

// TestConformanceMessageSizes is 9.1 and 9.2 of Autobahn: messages in one frame,
// in each length's encoding (RFC 6455, 5.2).
func TestConformanceMessageSizes(t *testing.T) {
	server := serve(t, echo.Config{Loops: 2})
	for name, kind := range kinds {
		for _, size := range []int{64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20} {
			size = largest(size)
			t.Run(fmt.Sprintf("%s of %d KiB", name, size>>10), func(t *testing.T) {
				payload := letters(kind, size)
				c := patient(t, server)
				c.send(websocket.AppendMaskedFrame(nil, kind, payload, ws.NewMask()))
				c.expect(kind, payload)
				c.hears(exchange{})
			})
		}
	}
}

// TestConformanceFrameSizes is 9.3 and 9.4: a message of 4 MiB in frames of any
// size (RFC 6455, 5.4).
func TestConformanceFrameSizes(t *testing.T) {
	server := serve(t, echo.Config{Loops: 2})
	for name, kind := range kinds {
		for _, size := range []int{64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20} {
			t.Run(fmt.Sprintf("%s in frames of %d bytes", name, size), func(t *testing.T) {
				payload := letters(kind, largest(4<<20))
				c := patient(t, server)
				c.send(inFrames(kind, payload, size))
				c.expect(kind, payload)
				c.hears(exchange{})
			})
		}
	}
}

// inFrames cuts a message into masked frames of so many bytes.
func inFrames(kind ws.OpCode, payload []byte, size int) (stream []byte) {
	left := len(payload)
	for chunk := range slices.Chunk(payload, size) {
		left -= len(chunk)
		stream = websocket.AppendMaskedFragment(stream, kind, left == 0, chunk, ws.NewMask())
		kind = ws.OpContinuation
	}
	return stream
}

// TestConformanceChops is 9.5 and 9.6: a message of 1 MiB in one frame that
// arrives in pieces (RFC 6455, 6.2).
func TestConformanceChops(t *testing.T) {
	server := serve(t, echo.Config{Loops: 2})
	for name, kind := range kinds {
		for _, size := range []int{64, 128, 256, 512, 1 << 10, 2 << 10, 16 << 10, 64 << 10} {
			t.Run(fmt.Sprintf("%s in chops of %d bytes", name, size), func(t *testing.T) {
				payload := letters(kind, largest(1<<20))
				c := patient(t, server)
				c.chops(websocket.AppendMaskedFrame(nil, kind, payload, ws.NewMask()), size)
				c.expect(kind, payload)
				c.hears(exchange{})
			})
		}
	}
}

// TestConformanceManyMessages is 9.7 and 9.8: a thousand messages, each sent when
// the one before has come back, and all of them at once (RFC 6455, 6.2).
func TestConformanceManyMessages(t *testing.T) {
	const count = 1000
	server := serve(t, echo.Config{Loops: 2})
	for name, kind := range kinds {
		for _, size := range []int{0, 16, 64, 256, 1 << 10, 4 << 10} {
			t.Run(fmt.Sprintf("%s of %d bytes", name, size), func(t *testing.T) {
				payload := letters(kind, size)
				c := patient(t, server)
				one := masked(kind, string(payload))
				for range count {
					c.send(one)
					c.expect(kind, payload)
				}
				sent := make(chan error, 1)
				go func() {
					_, err := c.Write(bytes.Repeat(one, count))
					sent <- err
				}()
				for range count {
					c.expect(kind, payload)
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
				c.hears(exchange{})
			})
		}
	}
}

// TestConformanceAutofragment is 10.1.1: a text of 64 KiB in frames of 1300 bytes
// (RFC 6455, 5.4).
func TestConformanceAutofragment(t *testing.T) {
	c := patient(t, serve(t, echo.Config{}))
	payload := letters(ws.OpText, 64<<10)
	c.send(inFrames(ws.OpText, payload, 1300))
	c.expect(ws.OpText, payload)
	c.hears(exchange{})
}
