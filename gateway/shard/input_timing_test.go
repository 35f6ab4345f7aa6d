package shard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/settings"
)

// worstInputs are what a client can send to make much work of few bytes.
func worstInputs() map[string][]byte {
	frames := func(op ws.OpCode, payloads ...string) (input []byte) {
		for i := 0; len(input) < 63<<10; i++ {
			input = websocket.AppendMaskedFrame(input, op, []byte(payloads[i%len(payloads)]), [4]byte{1, 2, 3, 4})
		}
		return input
	}
	// fragments is one message in more and more frames, with control frames between.
	fragments := func(payload string, between ...byte) (input []byte) {
		input = websocket.AppendMaskedFragment(input, ws.OpText, false, nil, [4]byte{1, 2, 3, 4})
		for len(input) < 63<<10 {
			input = websocket.AppendMaskedFragment(input, ws.OpContinuation, false, []byte(payload), [4]byte{1, 2, 3, 4})
			input = append(input, between...)
		}
		return input
	}
	ping := websocket.AppendMaskedFrame(nil, ws.OpPing, nil, [4]byte{1, 2, 3, 4})
	names := make([]string, 1024)
	for i := range names {
		names[i] = fmt.Sprintf("%q", fmt.Sprint(i))
	}
	list := `,"channels":[` + strings.Join(names, ",") + `]}`
	few := `,"channels":[` + strings.Join(names[:128], ",") + `]}`
	return map[string][]byte{
		"pings":                frames(ws.OpPing, ""),
		"pongs":                frames(ws.OpPong, ""),
		"long pings":           frames(ws.OpPing, strings.Repeat("x", 125)),
		"empty fragments":      fragments(""),
		"fragments of a byte":  fragments("x"),
		"fragments and pings":  fragments("x", ping...),
		"binary":               frames(ws.OpBinary, ""),
		"empty text":           frames(ws.OpText, ""),
		"not JSON":             frames(ws.OpText, "x"),
		"ping commands":        frames(ws.OpText, `{"type":"ping"}`),
		"bad names":            frames(ws.OpText, `{"type":"subscribe","channels":[""`+strings.Repeat(`,""`, 1023)+`]}`),
		"subscribe 1024":       frames(ws.OpText, `{"type":"subscribe"`+list, `{"type":"unsubscribe"`+list),
		"subscribe and leave":  frames(ws.OpText, `{"type":"subscribe"`+few, `{"type":"unsubscribe"`+few),
		"subscribe one, leave": frames(ws.OpText, `{"type":"subscribe","channel":"a"}`, `{"type":"unsubscribe","channel":"a"}`),
		"publish":              frames(ws.OpText, `{"type":"publish","channel":"a","data":1}`),
		"publish much":         frames(ws.OpText, `{"type":"publish","channel":"a","data":"`+strings.Repeat("x", 60<<10)+`"}`),
		"publish numbers":      frames(ws.OpText, `{"type":"publish","channel":"a","data":[`+strings.Repeat("1,", 30<<10)+`1]}`),
	}
}

// BenchmarkInput handles one read of each of the worst inputs, with the time that
// a turn of that client takes.
func BenchmarkInput(b *testing.B) {
	for name, input := range worstInputs() {
		b.Run(name, func(b *testing.B) {
			s := newTestShard(b, func(c *settings.Config) {
				c.ClientCommands, c.ClientPublishes, c.ClientPublish = limits.Rate{}, limits.Rate{}, rules.Patterns{"**"}
			})
			c, read := newReadSession(b, s)
			defer read()
			buffer := make([]byte, len(input))
			turns := 0
			var longest time.Duration
			turn := func(f func()) {
				began := time.Now()
				f()
				turns++
				longest = max(longest, time.Since(began))
			}
			for b.Loop() {
				copy(buffer, input) // frames are unmasked in place
				c.reader.Release()
				turn(func() { c.Received(buffer) })
				for c.held != nil || c.backlog != nil {
					read()
					if c.backlog != nil {
						c.Writable()
					}
					turn(s.resumePostponed)
				}
				read()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(turns), "µs/turn")
			b.ReportMetric(float64(turns)/float64(b.N), "turns/op")
			b.ReportMetric(float64(longest.Microseconds()), "µs/longest")
		})
	}
}
