package gateway_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/command"
	"fleetcast/codec/websocket"
	"fleetcast/gateway"
)

// eventAt is the event message as AppendEvent lays it out.
func eventAt(channel string, offset uint64, data string) string {
	return string(command.AppendEvent(nil, command.AppendEventPrefix(nil, channel), offset, []byte(data)))
}

// TestStalledClient has a client that reads nothing beside healthy ones. Those
// get everything; the stalled one is disconnected with 1013, behind whole
// frames, and what waited for it is forgotten.
func TestStalledClient(t *testing.T) {
	t.Parallel() // it waits most of the time
	const healthy = 4
	s := start(t, oneShard, impatientOf(300*time.Millisecond))
	stalled := s.connectNarrow()
	stalled.subscribe("news")
	var others []*peer
	for range healthy {
		others = append(others, s.connect())
		others[len(others)-1].subscribe("news")
	}
	data := `"` + strings.Repeat("x", 8<<10) + `"`
	want := func(offset uint64) string { return eventAt("news", offset, data) }
	publisher := s.publisher()
	for offset := uint64(1); ; offset++ {
		publisher.publishes("news", data)
		for _, p := range others { // before the next, so they do not lag
			p.wants(want(offset))
		}
		if s.stats().Total.Clients == healthy {
			break
		}
	}
	if s.stats().Total.BacklogBytes > 16<<10 {
		t.Errorf("%d bytes wait for a client that was disconnected, want the rest of a frame", s.stats().Total.BacklogBytes)
	}
	checkDisconnected(stalled, want)
	s.eventually("no backlog", func(g gateway.GatewayStats) bool {
		return g.Total.BacklogBytes == 0 && g.Total.Connections == healthy && g.Total.Disconnects["slow_consumer"] == 1
	})
}

// checkDisconnected reads a stalled client's socket to its end: a run of whole
// messages, then close code 1013.
func checkDisconnected(p *peer, want func(offset uint64) string) {
	p.Helper()
	for offset := uint64(1); ; offset++ {
		f := p.frame()
		if f.Header.OpCode == ws.OpClose {
			if code, reason := ws.ParseCloseFrameData(f.Payload); code != websocket.StatusTryAgainLater || reason != "slow consumer" {
				p.Fatalf("closed with %d %q", code, reason)
			}
			p.Close()
			return
		}
		if text := string(f.Payload); text != want(offset) {
			p.Fatalf("received %.80q, want offset %d", text, offset)
		}
	}
}

// TestStalledClientWithReplies is disconnected while one of its replies is half
// out: it must still be able to read the close frame.
func TestStalledClientWithReplies(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, oneShard, impatientOf(300*time.Millisecond))
	stalled := s.connectNarrow()
	stalled.subscribe("news")
	ping := clientFrame(ws.OpPing, true, strings.Repeat("p", 125))
	pings := strings.Repeat(ping, 200)
	var sent atomic.Bool
	go func() {
		for { // until the gateway reads no more, because its replies are not read
			if _, err := io.WriteString(stalled.TCPConn, pings); err != nil {
				break
			}
		}
		sent.Store(true)
	}()
	s.eventually("a backlog of replies", func(g gateway.GatewayStats) bool { return g.Total.BacklogBytes > 0 })
	publisher := s.publisher()
	for s.stats().Total.Clients == 1 {
		publisher.publishes("news", "1")
	}
	for {
		f := stalled.frame()
		if f.Header.OpCode == ws.OpClose {
			if code, _ := ws.ParseCloseFrameData(f.Payload); code != websocket.StatusTryAgainLater {
				t.Fatalf("closed with %d", code)
			}
			break
		}
		if f.Header.OpCode != ws.OpPong || len(f.Payload) != 125 {
			t.Fatalf("received opcode %#x with %d bytes", f.Header.OpCode, len(f.Payload))
		}
	}
	stalled.Close()
	until(t, "the end of the client's writes", sent.Load)
}

// TestFloodWhileShardsStall has a publisher send far more than the budget while
// no shard takes anything: it is pushed back, memory stays bounded, and when
// the shards go on everything arrives in order.
func TestFloodWhileShardsStall(t *testing.T) {
	const credits = 1 << 20
	events := scaled(8_000, 2) // 32 MB: more than the kernel's buffers
	s := start(t, func(c *gateway.Config) {
		c.Credits, c.PublisherCredits = credits, 4*credits // the budget is what bounds
		neverSlow(c)
	})
	pad := `,"pad":"` + strings.Repeat("x", 4_000) + `"}`
	data := func(i uint64) string { return fmt.Sprint(`{"n":`, i) + pad }
	var readers sync.WaitGroup
	for range 4 {
		p := s.connect()
		p.subscribe("news")
		readers.Go(func() {
			p.SetDeadline(time.Now().Add(3 * patience))
			for offset := uint64(1); offset <= uint64(events); offset++ {
				f, err := nextFrame(p.in)
				if err != nil || string(f.Payload) != eventAt("news", offset, data(offset)) {
					t.Errorf("received %.80q (%v), want offset %d", f.Payload, err, offset)
					return
				}
			}
		})
	}
	goOn := s.StallShards()
	before := heapInUse()
	publisher := s.publisher()
	publisher.SetDeadline(time.Now().Add(3 * patience))
	var written atomic.Int64 // lines
	readers.Go(func() {
		for i := range events {
			line := fmt.Sprintf(`{"channel":"news","data":%s}`+"\n", data(uint64(i+1)))
			if _, err := io.WriteString(publisher.TCPConn, line); err != nil {
				t.Error(err)
				return
			}
			written.Store(int64(i + 1))
		}
	})
	until(t, "a publisher without credit", func() bool { return s.PublishersPaused() == 1 })
	pushedBack(t, &written)
	if n := s.CreditsInUse(); n < credits || n > credits+5_000 {
		t.Errorf("%d credits are in use of %d", n, credits)
	}
	// What the events hold, and the input that waits: no more than some reads.
	if grown := heapInUse() - before; grown > 4*credits {
		t.Errorf("%d bytes of heap for a budget of %d", grown, credits)
	}
	if written.Load() == int64(events) {
		t.Error("the publisher was not pushed back")
	}
	goOn()
	readers.Wait()
	s.eventually("all credits are back", func(g gateway.GatewayStats) bool {
		return g.Publish.CreditsUsed == 0 && g.Publish.Paused == 0
	})
}

// pushedBack waits until a writer makes no progress any more: what it writes
// has filled the buffers of both kernels' sides.
func pushedBack(t *testing.T, written *atomic.Int64) {
	t.Helper()
	still, last := 0, written.Load()
	until(t, "a publisher that is pushed back", func() bool {
		if now := written.Load(); now != last {
			still, last = 0, now
		}
		still++
		return still == 50 // of until's polls
	})
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestShardsPublishToEachOther has the clients of two shards publish to each
// other's channels at full speed with next to no credit.
func TestShardsPublishToEachOther(t *testing.T) {
	const perShard = 3
	events := scaled(3_000, 6) // of each client
	patterns, err := gateway.ParsePatterns([]string{"shard-*"})
	if err != nil {
		t.Fatal(err)
	}
	for _, credits := range []struct{ all, each int64 }{{2_000, 1 << 20}, {1 << 20, 700}, {1, 1}} {
		t.Run(fmt.Sprintf("%d in all, %d each", credits.all, credits.each), func(t *testing.T) {
			s := start(t, noRates, func(c *gateway.Config) {
				c.ClientPublish = patterns
				c.Credits, c.PublisherCredits = credits.all, credits.each
				neverSlow(c)
			})
			shards := s.connectToEach(perShard)
			for shard, clients := range shards {
				for _, p := range clients {
					p.SetDeadline(time.Now().Add(3 * patience))
					p.subscribe(fmt.Sprintf("shard-%d", shard))
				}
			}
			var all sync.WaitGroup
			for shard, clients := range shards {
				for _, p := range clients {
					all.Go(func() { floodOther(t, p, 1-shard, events) })
					all.Go(func() { readFlood(t, p, shard, perShard*events, events) })
				}
			}
			all.Wait()
			s.eventually("all credits are back", func(g gateway.GatewayStats) bool { return g.Publish.CreditsUsed == 0 })
		})
	}
}

// connectToEach connects until every shard has n clients. Which shard gets one
// is the kernel's choice.
func (s *server) connectToEach(n int) (clients [2][]*peer) {
	s.Helper()
	before := s.stats().Shards
	for range 200 {
		p := s.connect()
		after := s.stats().Shards
		for i := range clients {
			if after[i].Accepted > before[i].Accepted {
				clients[i] = append(clients[i], p)
			}
		}
		before = after
		if len(clients[0]) >= n && len(clients[1]) >= n {
			return [2][]*peer{clients[0][:n], clients[1][:n]}
		}
	}
	s.Fatal("a shard gets no clients")
	return clients
}

func floodOther(t *testing.T, p *peer, shard, events int) {
	var batch []byte
	for i := range events {
		text := fmt.Appendf(nil, `{"type":"publish","id":%d,"channel":"shard-%d","data":1}`, i+1, shard)
		batch = websocket.AppendMaskedFrame(batch, ws.OpText, text, ws.NewMask())
		if len(batch) > 8<<10 || i == events-1 {
			if _, err := p.Write(batch); err != nil {
				t.Error(err)
				return
			}
			batch = batch[:0]
		}
	}
}

// readFlood expects so many events, in order, and replies, in order.
func readFlood(t *testing.T, p *peer, shard, events, replies int) {
	var message command.ServerMessage
	offset, id := 0, 0
	for offset < events || id < replies {
		f, err := nextFrame(p.in)
		if err == nil {
			err = message.Parse(f.Payload)
		}
		switch {
		case err != nil:
			t.Errorf("after %d events and %d replies: %v", offset, id, err)
			return
		case message.Kind == command.KindEvent && message.Offset == uint64(offset+1):
			offset++
		case message.Kind == command.KindPublished && message.ID.Value == uint64(id+1):
			id++
		default:
			t.Errorf("received %s on shard %d after %d events and %d replies", f.Payload, shard, offset, id)
			return
		}
	}
}
