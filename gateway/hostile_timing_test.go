package gateway_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// hostilePeers is how many connections send the worst of a kind without pause.
const hostilePeers = 60

// BenchmarkHostileInput has connections send the worst of each kind to the loop that
// serves an honest peer, and measures how long that one waits for its answers.
func BenchmarkHostileInput(b *testing.B) {
	for name, flood := range floods() {
		b.Run("client/"+name, func(b *testing.B) {
			s := start(b, oneShard, func(c *gateway.Config) { c.MaxMessage = 1 << 30 })
			honest := s.connect()
			for range hostilePeers {
				p := s.connect()
				go io.Copy(io.Discard, p.in)
				go pour(p, flood.first, flood.frame)
			}
			measureHonest(b, s, honest, func() {
				honest.sends(clientFrame(ws.OpPing, true, "honest"))
				for honest.frame().Header.OpCode != ws.OpPong {
				}
			})
		})
	}
	for name, request := range map[string]string{
		"blank lines":     "\n",
		"not JSON":        "{\n",
		"no channel":      "{}\n",
		"events":          `{"channel":"a","data":1}` + "\n",
		"empty arrays":    "*0\r\n",
		"inline pings":    "PING\r\n",
		"unknown command": "x\r\n",
	} {
		b.Run("publisher/"+name, func(b *testing.B) {
			s := start(b, func(c *gateway.Config) { c.IngestLoops = 1 })
			honest := s.publisher()
			first := ""
			if strings.HasPrefix(request, "\n") {
				first = "{}"
			} else if strings.HasPrefix(request, "*") {
				first = "PING\r\n"
			}
			for range hostilePeers {
				p := s.publisher()
				go io.Copy(io.Discard, p.in)
				go pour(p, first, request)
			}
			measureHonest(b, s, honest, func() { honest.publishes("news", "1") })
		})
	}
}

// pour sends a frame over and over until the connection ends.
func pour(p *peer, first, frame string) {
	p.SetDeadline(time.Time{})
	_, err := io.WriteString(p.TCPConn, first)
	for batch := strings.Repeat(frame, 1+(64<<10)/len(frame)); err == nil; {
		_, err = io.WriteString(p.TCPConn, batch)
	}
}

// measureHonest reports how long what an honest peer does takes, and how long the
// loops that serve clients take in a turn on average.
func measureHonest(b *testing.B, s *server, honest *peer, do func()) {
	b.Helper()
	var times []time.Duration
	before := s.stats().Total.Turns
	for b.Loop() {
		honest.SetDeadline(time.Now().Add(patience))
		began := time.Now()
		do()
		times = append(times, time.Since(began))
	}
	after := s.stats().Total.Turns
	slices.Sort(times)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(ms(times[len(times)/2]), "ms/median")
	b.ReportMetric(ms(times[len(times)-1]), "ms/longest")
	if turns := after.Count - before.Count; turns > 0 {
		b.ReportMetric((after.Sum-before.Sum)/float64(turns)*1000, "ms/turn")
	}
}
