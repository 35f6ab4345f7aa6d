package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// burst publishes n events at once, with data of size bytes, and returns when the
// gateway has taken them. Event i carries its number.
func (s *server) burst(channel string, n, size int) {
	s.Helper()
	upstream := s.publisher()
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, `{"channel":%q,"data":%s}`+"\n", channel, burstData(i+1, size))
	}
	fmt.Fprintf(&lines, `{"id":1,"channel":"behind-%s","data":0}`+"\n", channel)
	upstream.sends(lines.String())
	if a := decode[answer](upstream, upstream.line()); len(a.Results) != 1 {
		s.Fatalf("publishing a burst was answered with %+v", a)
	}
}

func burstData(i, size int) string { return fmt.Sprintf(`"%0*d"`, size-2, i) }

// TestBurstOverSlowLine has clients read 1 MB/s without pause, with the defaults, when
// 2,000 events of 100 bytes come at once: all of them get everything.
func TestBurstOverSlowLine(t *testing.T) {
	t.Parallel() // it waits most of the time
	const events, size = 2000, 100
	for _, clients := range []int{1, 20} {
		t.Run(fmt.Sprint(clients), func(t *testing.T) {
			t.Parallel()
			s := start(t)
			var peers []*peer
			for range clients {
				p := s.connectOver(line{rate: 1e6, roundTrip: 50 * time.Millisecond})
				p.subscribe("news")
				peers = append(peers, p)
			}
			s.burst("news", events, size)
			var reading sync.WaitGroup
			for i, p := range peers {
				reading.Go(func() {
					for n := 1; n <= events; n++ {
						f, err := nextFrame(p.in)
						if want := event("news", uint64(n), burstData(n, size)); err != nil || string(f.Payload) != want {
							t.Errorf("client %d received %.80q (%v), want %s", i, f.Payload, err, want)
							return
						}
					}
				})
			}
			reading.Wait()
			if total := s.stats().Total; total.Clients != int64(clients) || total.Dropped != 0 {
				t.Errorf("%d of %d clients are left, %d events were dropped", total.Clients, clients, total.Dropped)
			}
		})
	}
}

// impatientOf lets events wait for a short time only.
func impatientOf(slowAfter time.Duration) func(*gateway.Config) {
	return func(c *gateway.Config) { c.SlowAfter = slowAfter }
}

// TestSlowByTime has clients that take nothing, or next to nothing, beside one that
// reads: they are cut when an event has waited too long, and not before.
func TestSlowByTime(t *testing.T) {
	const slowAfter = 500 * time.Millisecond
	for name, read := range map[string]func(*peer){
		"nothing": func(*peer) {},
		"a byte a tenth of a second": func(p *peer) {
			for one := make([]byte, 1); ; time.Sleep(100 * time.Millisecond) {
				if _, err := io.ReadFull(p.TCPConn, one); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			s := start(t, oneShard, impatientOf(slowAfter))
			slow, healthy := s.connectNarrow(), s.connect()
			slow.subscribe("news")
			healthy.subscribe("news")
			upstream := s.publisher()
			go read(slow)
			data, offset := `"`+strings.Repeat("x", 50_000)+`"`, uint64(0)
			var lags time.Time // at the earliest
			for s.stats().Total.BacklogBytes == 0 {
				lags = time.Now()
				offset++
				upstream.publishes("news", data)
				healthy.wants(event("news", offset, data))
			}
			s.eventually("the end of the slow client", func(g gateway.GatewayStats) bool { return g.Total.Clients == 1 })
			// The moment at which it was queued is known to a tenth of a second.
			if took := time.Since(lags); took < slowAfter-100*time.Millisecond {
				t.Errorf("it was cut after %v", took)
			}
			slow.Close()
			s.eventually("its reason", func(g gateway.GatewayStats) bool { return g.Total.Disconnects["slow_consumer"] == 1 })
			upstream.publishes("news", "1")
			healthy.wants(event("news", offset+1, "1"))
		})
	}
}

// TestSlowLineIsToldWhy has a client at the end of a line that needs longer for what
// the kernel has of its events than a client usually has to close: it reads them, and
// then why it was cut.
func TestSlowLineIsToldWhy(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, oneShard, impatientOf(500*time.Millisecond))
	p := s.connectNarrow()
	p.subscribe("news")
	p.in = bufio.NewReaderSize(&pacedReader{p.TCPConn, 20e3, time.Now()}, 1024)
	s.burst("news", 400, 1000)
	for received := uint64(0); ; received++ {
		f := p.frame()
		if f.Header.OpCode == ws.OpClose {
			if code, _ := ws.ParseCloseFrameData(f.Payload); code != 1013 {
				t.Errorf("closed with %d", code)
			}
			return
		}
		if got := string(f.Payload); got != event("news", received+1, burstData(int(received)+1, 1000)) {
			t.Fatalf("event %d is %.80q", received+1, got)
		}
	}
}

// TestTooMuchForTheLine has a client on a line that carries less than is published
// all the time: it is cut when it is so far behind.
func TestTooMuchForTheLine(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, oneShard, impatientOf(500*time.Millisecond))
	p, healthy := s.connectOver(line{rate: 100e3, roundTrip: 20 * time.Millisecond}), s.connect()
	p.subscribe("news")
	healthy.subscribe("news")
	go io.Copy(io.Discard, p.in)
	go io.Copy(io.Discard, healthy.in)
	upstream := s.publisher()
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	data := `"` + strings.Repeat("x", 4000) + `"` // 200 kB/s
	for s.stats().Total.Clients == 2 {
		upstream.publishes("news", data)
		<-pace.C
	}
	stats := s.eventually("its reason", func(g gateway.GatewayStats) bool { return g.Total.Connections == 1 })
	if stats.Total.Disconnects["slow_consumer"] != 1 || stats.BacklogMemory != 0 {
		t.Errorf("disconnected %v; %d bytes are held", stats.Total.Disconnects, stats.BacklogMemory)
	}
}
