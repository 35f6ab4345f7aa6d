package gateway_test

import (
	"io"
	"net"
	"testing"
	"time"

	"fleetcast/gateway"
)

// BenchmarkConnects states what a client of a storm costs its loop, in time
// between two waits: one that is admitted, welcomed and leaves, beside one that is turned
// away. Each operation is a storm, whose requests have arrived when the loop
// looks.
func BenchmarkConnects(b *testing.B) {
	const storm = 400
	for name, set := range map[string]func(*gateway.Config){
		"admitted":    func(*gateway.Config) {},
		"turned away": connectRate(seldom, 1, 0),
		"full":        func(c *gateway.Config) { c.MaxClients = 1 },
	} {
		b.Run(name, func(b *testing.B) {
			s := start(b, oneShard, set)
			s.connect()
			request, answer := []byte(head+"\r\n"), make([]byte, 1<<10)
			var busy time.Duration
			for b.Loop() {
				before := s.stats().Total.Turns.Sum
				goOn := s.StallShards()
				stalled := time.Now()
				var conns []net.Conn
				for range storm {
					conn, err := net.Dial("tcp", s.clientAddr())
					if err != nil {
						b.Fatal(err)
					}
					if _, err := conn.Write(request); err != nil {
						b.Fatal(err)
					}
					conns = append(conns, conn)
				}
				busy -= time.Since(stalled)
				goOn()
				for _, conn := range conns {
					if _, err := io.ReadAtLeast(conn, answer, 100); err != nil {
						b.Fatal(err)
					}
				}
				for _, conn := range conns {
					conn.Close()
				}
				after := s.eventually("the end of all", func(g gateway.GatewayStats) bool { return g.Total.Connections == 1 })
				busy += time.Duration((after.Total.Turns.Sum - before) * float64(time.Second))
			}
			b.ReportMetric(float64(busy.Microseconds())/float64(b.N*storm), "loop-µs/connect")
		})
	}
}
