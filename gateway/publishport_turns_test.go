package gateway_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"fleetcast/gateway"
)

// oneIngest has all publishers share a loop.
func oneIngest(c *gateway.Config) { c.IngestLoops = 1 }

// TestPublisherFloodsInTurns has publishers send much at once, beside each other,
// and shut their side down: their input is handled in turns, every answer comes,
// in order, and the last line without an end counts.
func TestPublisherFloodsInTurns(t *testing.T) {
	const n = 20_000
	for name, test := range map[string]struct {
		request, last string
		answer        func(i int) string
		lastAnswer    string
	}{
		"refused lines": {
			"{}\n", `{"channel":"last","data":1,"id":7}`,
			func(i int) string {
				return fmt.Sprintf(`{"line":%d,"error":{"code":"bad_request","message":"channel is missing"}}`, i+1)
			},
			`{"id":7,`,
		},
		"lines that are not JSON": {
			"{\n", `{"channel":"last","data":1,"id":7}`,
			func(i int) string { return fmt.Sprintf(`{"line":%d,"error":`, i+1) },
			`{"id":7,`,
		},
		"inline pings":       {"PING\r\n", "ECHO end\r\n", func(int) string { return "+PONG" }, "$3"},
		"unknown commands":   {"x\r\n", "ECHO end\r\n", func(int) string { return "-ERR unknown command 'x'" }, "$3"},
		"events":             {"PUBLISH a 1\r\n", "ECHO end\r\n", func(int) string { return ":0" }, "$3"},
		"pings among others": {"PING\r\n*0\r\n\r\n*0\r\n", "ECHO end\r\n", func(int) string { return "+PONG" }, "$3"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, oneIngest)
			peers := make([]*peer, 4)
			for i := range peers {
				p := s.publisher()
				peers[i] = p
				go func() {
					_, _ = io.WriteString(p.TCPConn, strings.Repeat(test.request, n)+test.last)
					_ = p.CloseWrite()
				}()
			}
			for _, p := range peers {
				for i := range n {
					if line, want := p.line(), test.answer(i); !strings.HasPrefix(line, want) {
						t.Fatalf("answer %d is %q, want %q", i, line, want)
					}
				}
				if line := p.line(); !strings.HasPrefix(line, test.lastAnswer) {
					t.Errorf("the last answer is %q", line)
				}
				if _, err := io.Copy(io.Discard, p.in); err != nil {
					t.Errorf("after the last answer: %v", err)
				}
			}
			stats := s.eventually("the ends", func(g gateway.GatewayStats) bool { return g.Publish.Publishers == 0 && g.Publish.InputBytes == 0 })
			// Each request counts 256 at least, and a turn some 256 Ki.
			if cuts := stats.Publish.ReadCuts; cuts < 4*n*256/(256<<10)/2 {
				t.Errorf("input was cut %d times", cuts)
			}
		})
	}
}

// TestLargeTransactionsTakeTurns has EXEC publish so much that it takes several
// turns: nothing of the same publisher comes between or before, the replies are in
// order, and all of it is published though the publisher goes away meanwhile.
func TestLargeTransactionsTakeTurns(t *testing.T) {
	const n = 3_000
	data := func(i int) string { return fmt.Sprintf("[%d,%s0]", i, strings.Repeat("0,", 300)) }
	var queue strings.Builder
	for i := range n {
		queue.WriteString(array("PUBLISH", "news", data(i)))
	}
	for name, leaves := range map[string]bool{"it stays": false, "it is reset": true} {
		t.Run(name, func(t *testing.T) {
			s := start(t, oneIngest)
			subscriber := s.connect()
			subscriber.subscribe("news")
			p := s.publisher()
			go func() { _, _ = io.WriteString(p.TCPConn, array("MULTI")+queue.String()) }()
			p.receives(queued(n))
			before := s.stats().Publish.ReadCuts
			p.sends(array("EXEC") + array("PUBLISH", "news", `"after"`) + array("ECHO", "end"))
			subscriber.wants(event("news", 1, data(0))) // it has begun
			if leaves {
				_ = p.SetLinger(0)
				_ = p.Close()
			} else {
				p.receives(fmt.Sprintf("*%d\r\n", n) + strings.Repeat(":1\r\n", n) + ":1\r\n$3\r\nend\r\n")
			}
			for i := 1; i < n; i++ {
				subscriber.wants(event("news", uint64(i+1), data(i)))
			}
			stats := s.eventually("no event under way", func(g gateway.GatewayStats) bool { return g.Publish.CreditsUsed == 0 })
			if cuts := stats.Publish.ReadCuts - before; cuts < n*600*4/(256<<10)/2 {
				t.Errorf("it was cut %d times", cuts)
			}
			if !leaves {
				subscriber.wants(event("news", n+1, `"after"`))
			}
		})
	}
}
