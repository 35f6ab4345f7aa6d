package main

import (
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// adminFloods are ways to keep the admin port as busy as one process can. Each
// connection sends its text again and again.
var adminFloods = map[string]struct {
	connections int
	text        string
	anew        bool // each time on a new connection
}{
	"nothing":         {},
	"health":          {1, strings.Repeat("GET /healthz"+toLocalhost+"\r\n", 100), false},
	"health from 100": {100, strings.Repeat("GET /healthz"+toLocalhost+"\r\n", 100), false},
	"metrics":         {100, strings.Repeat("GET /metrics"+toLocalhost+"\r\n", 10), false},
	"statistics":      {100, strings.Repeat("GET /api/stats"+toLocalhost+"\r\n", 10), false},
	"channels":        {100, strings.Repeat("GET /api/channels?order=events"+toLocalhost+"\r\n", 10), false},
	"pages":           {100, strings.Repeat("GET /"+toLocalhost+"\r\n", 10), false},
	"not found":       {100, strings.Repeat("GET /none"+toLocalhost+"\r\n", 100), false},
	"profiles":        {100, strings.Repeat("GET /debug/pprof/goroutine"+toLocalhost+"\r\n", 10), false},
	"publishing":      {100, strings.Repeat("POST /api/publish"+toLocalhost+"Content-Type: application/json\r\nContent-Length: 24\r\n\r\n"+`{"channel":"x","data":1}`, 10), false},
	"refused":         {100, "GET /api/stats HTTP/1.1\r\nHost: evil.example\r\n\r\n", true},
	"connections":     {100, "GET /healthz" + toLocalhost + "Connection: close\r\n\r\n", true},
	"malformed":       {100, "\r\n \r\n\r\n", true},
}

// BenchmarkPingsBesideAdminFlood tells how long a client of a real process waits
// for its pong, in milliseconds, while the admin port is flooded.
func BenchmarkPingsBesideAdminFlood(b *testing.B) {
	for name, flood := range adminFloods {
		b.Run(name, func(b *testing.B) {
			t := new(testing.T)
			p := startProcess(t, "--listen=127.0.0.1:0", "--publish=off", "--admin=127.0.0.1:0")
			defer func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() }()
			clients := p.out.await(t, `open in a browser +http://([^/\s]+)`)[1]
			admin := p.out.await(t, `look inside at +http://([^/]+)/`)[1]
			g := &liveGateway{T: t}
			c := g.dialTo(clients, net.Dialer{}).welcomed()
			var stop atomic.Bool
			var answers atomic.Int64
			var attackers sync.WaitGroup
			for range flood.connections {
				attackers.Go(func() {
					for !stop.Load() {
						answers.Add(sendAgain(admin, flood.text, flood.anew, &stop))
					}
				})
			}
			time.Sleep(2 * time.Second) // what may come at once has come
			before := answers.Load()
			var took []time.Duration
			began := time.Now()
			for b.Loop() {
				start := time.Now()
				if err := ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewPingFrame(nil))); err != nil {
					b.Fatal(err)
				}
				if _, err := readServerFrame(c.in); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
				time.Sleep(time.Millisecond)
			}
			rate := float64(answers.Load()-before) / time.Since(began).Seconds()
			stop.Store(true)
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
			b.ReportMetric(rate, "bytes/s")
			attackers.Wait()
		})
	}
}

// sendAgain sends a text over one connection, again and again if that is not to be
// anew, and returns how many bytes of answers came.
func sendAgain(addr, text string, anew bool, stop *atomic.Bool) (answered int64) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return 0
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if anew {
		_, _ = io.WriteString(c, text)
		n, _ := io.Copy(io.Discard, c)
		return n
	}
	go func() {
		for !stop.Load() {
			if _, err := io.WriteString(c, text); err != nil {
				break
			}
		}
		c.Close()
	}()
	n, _ := io.Copy(io.Discard, c)
	return n
}
