package gateway_test

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// TestPingsAreSpread has every client pinged once per interval, and not all of
// them at once.
func TestPingsAreSpread(t *testing.T) {
	t.Parallel() // it waits most of the time
	const clients, rounds, interval = 40, 4, time.Second
	s := start(t, oneShard, func(c *gateway.Config) { c.PingInterval = interval })
	peers := make([]*peer, clients)
	for i := range peers {
		peers[i] = s.connect()
	}
	var mu sync.Mutex
	var all [rounds][]time.Time
	var waiting sync.WaitGroup
	for _, p := range peers {
		waiting.Go(func() {
			var pings []time.Time
			for len(pings) < rounds {
				f, err := readFrame(p.in)
				if err != nil || f.Header.OpCode != ws.OpPing || len(f.Payload) > 0 {
					t.Errorf("received opcode %#x with %q and %v, want a ping", f.Header.OpCode, f.Payload, err)
					return
				}
				pings = append(pings, time.Now())
				if _, err := p.Write([]byte(clientFrame(ws.OpPong, true, ""))); err != nil {
					t.Error(err)
					return
				}
			}
			// Two intervals lie between the first and the third. A busy machine reads
			// the first one late.
			if took := pings[2].Sub(pings[0]); took < interval/2 {
				t.Errorf("%v lie between three pings", took)
			}
			mu.Lock()
			defer mu.Unlock()
			for round, at := range pings {
				all[round] = append(all[round], at)
			}
		})
	}
	waiting.Wait()
	if len(all[0]) != clients {
		return
	}
	// A busy machine may read those of a round late, and then together.
	least := clients
	for _, pings := range all {
		least = min(least, mostWithin(pings, interval/4))
	}
	if least > clients*3/4 {
		t.Errorf("in each round %d of %d clients and more were pinged within a quarter of the interval", least, clients)
	}
	if total := s.stats().Total; total.Clients != clients {
		t.Errorf("%d of %d clients are left", total.Clients, clients)
	}
}

// mostWithin is how many of times lie within a span, at most.
func mostWithin(times []time.Time, span time.Duration) (most int) {
	slices.SortFunc(times, time.Time.Compare)
	for i, from := range times {
		n := 0
		for _, at := range times[i:] {
			if at.Sub(from) < span {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// impatient pings often and soon gives up.
func impatient(c *gateway.Config) {
	c.Shards, c.PingInterval, c.PongTimeout = 1, 300*time.Millisecond, 200*time.Millisecond
}

func TestSilentClientIsClosed(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, impatient)
	clients, longest := uint64(0), time.Duration(0)
	for ; longest < 150*time.Millisecond && clients < 10; clients++ { // a busy machine reads the ping late
		p := s.connect()
		p.subscribe("news")
		f := p.frame()
		pinged := time.Now()
		if f.Header.OpCode != ws.OpPing {
			t.Fatalf("received opcode %#x, want a ping", f.Header.OpCode)
		}
		// A gateway that was held up may ping once more before it judges.
		if rest, err := io.ReadAll(p.in); err != nil || strings.ReplaceAll(string(rest), "\x89\x00", "") != "" {
			t.Fatalf("received %.200q and %v, want the end", rest, err)
		}
		longest = max(longest, time.Since(pinged))
	}
	if longest < 150*time.Millisecond {
		t.Errorf("clients were given up %v after the ping at the latest", longest)
	}
	stats := s.eventually("the end", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
	if stats.Total.Disconnects["ping_timeout"] != clients || stats.Total.Subscriptions != 0 || stats.Total.Channels != 0 {
		t.Errorf("the counters are %+v", stats.Total)
	}
}

// Any byte is a sign of life: here that of a frame which is never complete.
func TestAnyByteIsLife(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, impatient)
	p := s.connect()
	p.sends("\x81\xfd")
	for range 5 {
		if f := p.frame(); f.Header.OpCode != ws.OpPing {
			t.Fatalf("received opcode %#x, want a ping", f.Header.OpCode)
		}
		p.sends("x")
	}
	silent := s.connect()
	silent.frame()
	s.eventually("the end of both", func(g gateway.GatewayStats) bool { return g.Total.Disconnects["ping_timeout"] == 2 })
}

// TestSlowReaderIsLife has a client that says nothing for many intervals, but
// takes its backlog little by little.
func TestSlowReaderIsLife(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, neverSlow, func(c *gateway.Config) {
		c.Shards, c.PingInterval, c.PongTimeout = 1, 500*time.Millisecond, time.Second
		c.SendTimeout = patience // the kernel is not to be first
	})
	p := s.connectNarrow()
	p.subscribe("news")
	upstream := s.publisher()
	data := `"` + strings.Repeat("x", 60<<10) + `"`
	// Fifty reads per pong timeout, from the first event on, and behind the last one
	// for longer than two pings and the patience with them.
	const duration = 3500 * time.Millisecond
	last := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		chunk := make([]byte, 8<<10)
		read, published, from := 0, false, time.Time{}
		for ; !published || time.Since(from) < duration; <-pace.C {
			n, err := p.in.Read(chunk)
			if err != nil {
				t.Errorf("reading: %v after %d bytes", err, read)
				return
			}
			read += n
			if !published {
				select {
				case <-last:
					published, from = true, time.Now()
				default:
				}
			}
		}
	})
	for total := s.stats().Total; total.BacklogBytes < 3<<20 && total.Clients > 0; total = s.stats().Total {
		upstream.publishes("news", data)
	}
	close(last)
	reading.Wait()
	if total := s.stats().Total; total.Clients != 1 || total.BacklogBytes == 0 {
		t.Errorf("the counters are %+v", total)
	}
}

// pacedReader reads so many bytes a second, little by little. If it is late, it
// catches up.
type pacedReader struct {
	io.Reader
	rate float64
	free time.Time
}

func (r *pacedReader) Read(p []byte) (int, error) {
	time.Sleep(time.Until(r.free))
	n, err := r.Reader.Read(p[:min(len(p), 1024)])
	r.free = r.free.Add(time.Duration(float64(n) / r.rate * float64(time.Second)))
	return n, err
}

// TestPingBehindWhatTheKernelHas has a client that reads slowly, without pause. Pings
// wait in the kernel, behind what the gateway has sent already, for longer than the
// pong may take: it is not gone.
func TestPingBehindWhatTheKernelHas(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, neverSlow, func(c *gateway.Config) {
		c.Shards, c.PingInterval, c.PongTimeout, c.SendTimeout = 1, time.Second, 10*time.Second, patience
	})
	p := s.connectNarrow()
	p.subscribe("news")
	upstream := s.publisher()
	p.in = bufio.NewReaderSize(&pacedReader{p.TCPConn, 25e3, time.Now()}, 1024)
	const events = 75 // 375 kB, 15 s of reading: the first ping waits for longer than PongTimeout
	data := `"` + strings.Repeat("x", 5_000) + `"`
	for range events {
		upstream.publishes("news", data)
	}
	for offset := uint64(1); offset <= events; {
		f, err := readFrame(p.in)
		if err != nil {
			t.Fatalf("%v behind event %d; the ends are %v", err, offset-1, s.stats().Total.Disconnects)
		}
		switch f.Header.OpCode {
		case ws.OpPing:
			p.sends(clientFrame(ws.OpPong, true, ""))
		case ws.OpText:
			offset++
		default:
			t.Fatalf("received opcode %#x with %q", f.Header.OpCode, f.Payload)
		}
	}
	if total := s.stats().Total; total.Clients != 1 || total.Lagging != 0 {
		t.Errorf("%d clients are left, %d lag", total.Clients, total.Lagging)
	}
}

// A client with a backlog that does not read at all is gone for what we know.
func TestStalledReaderIsClosed(t *testing.T) {
	t.Parallel()                                                                              // it waits most of the time
	s := start(t, impatient, neverSlow, func(c *gateway.Config) { c.SendTimeout = patience }) // the kernel is not to be first
	p := s.connectNarrow()
	p.subscribe("news")
	upstream := s.publisher()
	data := `"` + strings.Repeat("x", 60<<10) + `"`
	for s.stats().Total.BacklogBytes == 0 {
		upstream.publishes("news", data)
	}
	stats := s.eventually("the end", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
	if stats.Total.Disconnects["ping_timeout"] != 1 || stats.Total.BacklogBytes != 0 {
		t.Errorf("the counters are %+v", stats.Total)
	}
}
