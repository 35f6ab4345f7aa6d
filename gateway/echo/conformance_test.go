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

// exchange is what a client sends, and what it must hear: exactly that, in this
// order. The numbers in the names are those of the cases of the Autobahn test
// suite that have the same shape.
type exchange struct {
	name  string
	sends []string // frames, or parts of one
	hears []heard
	// ends is the code of the server's close frame, if what was sent has one for
	// an answer; 1005: it has none. 0: the server goes on, and the client closes.
	ends ws.StatusCode
}

type heard struct {
	op      ws.OpCode
	payload string
}

// deliveries are the ways in which the same bytes reach the server.
var deliveries = map[string]func(c *rawClient, sends []string){
	"at once": func(c *rawClient, sends []string) { c.send([]byte(strings.Join(sends, ""))) },
	"frame by frame": func(c *rawClient, sends []string) {
		for _, s := range sends {
			c.send([]byte(s))
		}
	},
	"byte by byte": func(c *rawClient, sends []string) {
		for chunk := range slices.Chunk([]byte(strings.Join(sends, "")), 1) {
			c.send(chunk)
		}
	},
}

// run has the exchanges in each way of delivery.
func run(t *testing.T, exchanges []exchange) {
	t.Helper()
	server := serve(t, echo.Config{Loops: 2})
	for _, e := range exchanges {
		for delivery, deliver := range deliveries {
			t.Run(e.name+" "+delivery, func(t *testing.T) {
				c := connect(t, server)
				c.SetDeadline(time.Now().Add(time.Minute)) // the machine may be busy
				deliver(c, e.sends)
				c.hears(e)
				c.Close()
			})
		}
	}
}

// hears reads what the exchange says, and its end, which must be clean.
func (c *rawClient) hears(e exchange) {
	c.Helper()
	for _, h := range e.hears {
		c.expect(h.op, []byte(h.payload))
	}
	if e.ends != 0 {
		c.expectClose(e.ends)
		c.expectEnd()
		return
	}
	c.send(rawClose(1000))
	c.expectClose(1000)
	c.expectEnd()
}

func frame(op ws.OpCode, payload string) string { return string(masked(op, payload)) }

func part(op ws.OpCode, fin bool, payload string) string { return string(fragment(op, fin, payload)) }

func echoed(payload string) []heard { return []heard{{ws.OpText, payload}} }

// withHeader is a frame whose first byte is first: it may break any rule.
func withHeader(first byte, payload string) string {
	b := masked(ws.OpText, payload)
	b[0] = first
	return string(b)
}

// TestConformanceFraming echoes texts and binaries at every edge of the
// length's encoding, whole and in chops (RFC 6455, 5.1, 5.2, 5.6, 6.1 and 6.2).
func TestConformanceFraming(t *testing.T) {
	server := serve(t, echo.Config{Loops: 2})
	for _, kind := range []ws.OpCode{ws.OpText, ws.OpBinary} {
		for _, size := range []int{0, 125, 126, 127, 128, 65535, 65536} {
			for _, chop := range []int{0, 997} {
				t.Run(fmt.Sprintf("opcode %d, %d bytes in chops of %d", kind, size, chop), func(t *testing.T) {
					payload := bytes.Repeat([]byte("*"), size)
					if kind == ws.OpBinary {
						payload = bytes.Repeat([]byte{0xfe}, size)
					}
					c := connect(t, server)
					c.chops(masked(kind, string(payload)), chop)
					c.expect(kind, payload)
					c.hears(exchange{})
				})
			}
		}
	}
}

// chops writes b in pieces of so many bytes; 0: whole.
func (c *rawClient) chops(b []byte, size int) {
	c.Helper()
	if size == 0 {
		size = len(b) + 1
	}
	for chunk := range slices.Chunk(b, size) {
		c.send(chunk)
	}
}

// TestConformancePings: each ping is answered with its own payload, in order, and
// pongs that nobody asked for are not (RFC 6455, 5.5, 5.5.2 and 5.5.3).
func TestConformancePings(t *testing.T) {
	many := exchange{name: "2.10 and 2.11, ten pings"}
	for i := range 10 {
		payload := fmt.Sprintf("payload-%d", i)
		many.sends = append(many.sends, frame(ws.OpPing, payload))
		many.hears = append(many.hears, heard{ws.OpPong, payload})
	}
	longest := strings.Repeat("\xfe", 125)
	run(t, []exchange{
		{"2.1, empty", []string{frame(ws.OpPing, "")}, []heard{{ws.OpPong, ""}}, 0},
		{"2.2, text", []string{frame(ws.OpPing, "Hello, world!")}, []heard{{ws.OpPong, "Hello, world!"}}, 0},
		{"2.3, binary", []string{frame(ws.OpPing, "\x00\xff\xfe\xfd\xfc\xfb\x00\xff")}, []heard{{ws.OpPong, "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"}}, 0},
		{"2.4 and 2.6, 125 bytes", []string{frame(ws.OpPing, longest)}, []heard{{ws.OpPong, longest}}, 0},
		{"2.5, 126 bytes", []string{"\x89\xfe\x00\x7emask" + strings.Repeat("\xfe", 126)}, nil, 1002},
		{"2.7, empty pong", []string{frame(ws.OpPong, "")}, nil, 0},
		{"2.8, pong", []string{frame(ws.OpPong, "unsolicited pong payload")}, nil, 0},
		{"2.9, pong, then ping", []string{frame(ws.OpPong, "unsolicited pong payload"), frame(ws.OpPing, "ping payload")},
			[]heard{{ws.OpPong, "ping payload"}}, 0},
		many,
	})
}

// TestConformanceReservedBits: whatever reserved bits are set on whatever frame,
// the connection fails (RFC 6455, 5.2, 5.8, 7.1.7 and 9.1: nothing was negotiated).
func TestConformanceReservedBits(t *testing.T) {
	exchanges := []exchange{
		{"3.1, RSV3 on a text", []string{withHeader(0x91, "Hello, world!")}, nil, 1002},
		{"3.2 to 3.4, RSV between a text and a ping",
			[]string{frame(ws.OpText, "first"), withHeader(0xb1, "second"), frame(ws.OpPing, "")}, echoed("first"), 1002},
	}
	for rsv := byte(1); rsv <= 7; rsv++ {
		for _, op := range []ws.OpCode{ws.OpText, ws.OpBinary, ws.OpPing, ws.OpPong, ws.OpClose} {
			exchanges = append(exchanges, exchange{fmt.Sprintf("3.1 to 3.7, RSV %d on opcode %d", rsv, op),
				[]string{withHeader(0x80|rsv<<4|byte(op), "")}, nil, 1002})
		}
		exchanges = append(exchanges, exchange{fmt.Sprintf("RSV %d on a continuation", rsv),
			[]string{part(ws.OpText, false, "a"), withHeader(0x80|rsv<<4, "b")}, nil, 1002})
	}
	run(t, exchanges)
}

// TestConformanceOpcodes: a reserved opcode fails the connection, behind the
// echoes of what came before it (RFC 6455, 5.2, 5.5 and 5.6).
func TestConformanceOpcodes(t *testing.T) {
	var exchanges []exchange
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		for name, payload := range map[string]string{"empty": "", "with a payload": "reserved opcode payload"} {
			exchanges = append(exchanges, exchange{fmt.Sprintf("4.1 and 4.2, opcode %d, %s", op, name),
				[]string{withHeader(0x80|op, payload)}, nil, 1002})
		}
		exchanges = append(exchanges, exchange{fmt.Sprintf("4.1 and 4.2, opcode %d between a text and a ping", op),
			[]string{frame(ws.OpText, "Hello, world!"), withHeader(0x80|op, "payload"), frame(ws.OpPing, "")}, echoed("Hello, world!"), 1002},
			exchange{fmt.Sprintf("opcode %d as a fragment", op), []string{withHeader(op, "")}, nil, 1002})
	}
	run(t, exchanges)
}

// TestConformanceMasking: a server takes no frame that is not masked, whatever
// its kind, and unmasks with any key (RFC 6455, 5.1, 5.3 and 6.2).
func TestConformanceMasking(t *testing.T) {
	var exchanges []exchange
	for _, op := range []ws.OpCode{ws.OpText, ws.OpBinary, ws.OpPing, ws.OpPong, ws.OpClose} {
		exchanges = append(exchanges, exchange{fmt.Sprintf("opcode %d unmasked", op),
			[]string{frame(ws.OpText, "before"), string(websocket.AppendFrame(nil, op, nil))}, echoed("before"), 1002})
	}
	for _, key := range [][4]byte{{}, {0xff, 0xff, 0xff, 0xff}, {1}, {0x37, 0xfa, 0x21, 0x3d}} {
		exchanges = append(exchanges, exchange{fmt.Sprintf("mask % x", key),
			[]string{string(websocket.AppendMaskedFrame(nil, ws.OpText, []byte("Hello"), key))}, echoed("Hello"), 0})
	}
	// The example of section 5.7.
	exchanges = append(exchanges, exchange{"5.7", []string{"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"}, echoed("Hello"), 0})
	run(t, exchanges)
}
