package echo_test

import (
	"testing"

	"github.com/gobwas/ws"

	"fleetcast/gateway/echo"
)

// TestConformanceFragments: messages come whole, control frames between their
// fragments are answered before them, and fragments that do not belong together
// fail the connection (RFC 6455, 5.4, 5.5 and 6.2).
func TestConformanceFragments(t *testing.T) {
	const one, two = "fragment1", "fragment2"
	first, last := part(ws.OpText, false, one), part(ws.OpContinuation, true, two)
	ping := frame(ws.OpPing, "ping payload")
	pong := heard{ws.OpPong, "ping payload"}
	whole := heard{ws.OpText, one + two}
	stray := func(fin bool) string { return part(ws.OpContinuation, fin, "non-continuation payload") }
	hello := frame(ws.OpText, "Hello, world!")

	run(t, []exchange{
		{"5.1, ping in two fragments", []string{part(ws.OpPing, false, one), last}, nil, 1002},
		{"5.2, pong in two fragments", []string{part(ws.OpPong, false, one), last}, nil, 1002},
		{"close in two fragments", []string{part(ws.OpClose, false, "\x03"), part(ws.OpContinuation, true, "\xe8")}, nil, 1002},
		{"5.3 to 5.5, text in two fragments", []string{first, last}, []heard{whole}, 0},
		{"binary in two fragments", []string{part(ws.OpBinary, false, one), last}, []heard{{ws.OpBinary, one + two}}, 0},
		{"5.6 to 5.8, ping in between", []string{first, ping, last}, []heard{pong, whole}, 0},
		{"pong in between", []string{first, frame(ws.OpPong, "unasked"), last}, []heard{whole}, 0},
		{"5.9 to 5.11, last fragment of nothing", []string{stray(true), hello}, nil, 1002},
		{"5.12 to 5.14, fragment of nothing", []string{stray(false), hello}, nil, 1002},
		{"5.15, fragment of nothing behind a message", []string{first, last, stray(false), hello}, []heard{whole}, 1002},
		{"5.16, fragment of nothing before each message", []string{stray(false), first, last, stray(false), first, last}, nil, 1002},
		{"5.17, last fragment of nothing before each message", []string{stray(true), first, last, stray(true), first, last}, nil, 1002},
		{"5.18, text within a text", []string{first, part(ws.OpText, true, two)}, nil, 1002},
		{"binary within a text", []string{first, part(ws.OpBinary, true, two)}, nil, 1002},
		{"text within a binary", []string{part(ws.OpBinary, false, one), part(ws.OpText, false, two)}, nil, 1002},
		{"5.19 and 5.20, five fragments and two pings", []string{
			part(ws.OpText, false, one), part(ws.OpContinuation, false, two), frame(ws.OpPing, "pongme 1!"),
			part(ws.OpContinuation, false, "fragment3"), part(ws.OpContinuation, false, "fragment4"), frame(ws.OpPing, "pongme 2!"),
			part(ws.OpContinuation, true, "fragment5"),
		}, []heard{{ws.OpPong, "pongme 1!"}, {ws.OpPong, "pongme 2!"}, {ws.OpText, one + two + "fragment3fragment4fragment5"}}, 0},
		{"empty fragments", []string{part(ws.OpText, false, ""), part(ws.OpContinuation, false, ""), part(ws.OpContinuation, true, "")}, echoed(""), 0},
		{"a message behind a fragmented one", []string{first, last, hello}, []heard{whole, {ws.OpText, "Hello, world!"}}, 0},
	})
}

// TestPingIsAnsweredBeforeTheMessageEnds: the pong comes while the message is
// still under way, between its fragments and within a frame's pieces (RFC 6455,
// 5.4 and 5.5.2).
func TestPingIsAnsweredBeforeTheMessageEnds(t *testing.T) {
	c := connect(t, serve(t, echo.Config{}))
	c.send(fragment(ws.OpText, false, "one "))
	c.send(masked(ws.OpPing, "1"))
	c.expect(ws.OpPong, []byte("1"))
	c.send(fragment(ws.OpContinuation, false, "two "))
	ping := masked(ws.OpPing, "2")
	c.send(ping[:3])
	c.send(ping[3:])
	c.expect(ws.OpPong, []byte("2"))
	c.send(fragment(ws.OpContinuation, true, "three"))
	c.expect(ws.OpText, []byte("one two three"))
	c.hears(exchange{})
}
