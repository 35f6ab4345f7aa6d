package gateway_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
)

// TestAbruptEndsLeaveNothing opens 7,000 connections in batches and drops each
// batch, by resets and by plain closes with unread input on both sides.
func TestAbruptEndsLeaveNothing(t *testing.T) {
	const batches = 4
	batch := scaled(7_000, 7) / batches
	s := start(t)
	clients := startSwarm(t, s.ClientAddrs()[0], "news")
	publisher := s.publisher()
	publisher.publishes("news", "0")
	s.stats()
	openBefore, goroutinesBefore := descriptors(t), runtime.NumGoroutine()
	for round := range batches {
		want := int64(batch * (round + 1))
		clients.grow(batch, func(want int64) {
			until(t, "every client is subscribed", func() bool { return clients.subscribed.Load() == want })
		})
		// A few more are cut off in the middle of a handshake, or before it.
		for i := range 20 {
			p := s.dialRaw()
			p.sends(head[:i*5])
			if i%2 == 0 {
				p.SetLinger(0)
			}
			p.Close()
		}
		if n := publisher.publishes("news", "1").Subscribers; n != uint64(batch) {
			t.Fatalf("an event went to %d subscribers, want %d", n, batch)
		}
		clients.drop()
		until(t, "every client is gone", func() bool { return clients.gone.Load() == want })
		publisher.publishes("news", "2") // some find out by it that their peer is gone
	}
	stats := s.eventually("no client", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
	total := stats.Total
	if total.Clients != 0 || total.Subscriptions != 0 || total.Channels != 0 || total.BacklogBytes != 0 {
		t.Errorf("without connections there are %d clients, %d subscriptions, %d channels, %d bytes of backlog",
			total.Clients, total.Subscriptions, total.Channels, total.BacklogBytes)
	}
	if n := s.StreamsWithInterest(); n != 0 {
		t.Errorf("%d streams are still wanted by a shard", n)
	}
	if total.Accepted != uint64(batches*(batch+20)) {
		t.Errorf("%d connections were accepted, want %d", total.Accepted, batches*(batch+20))
	}
	var ends uint64
	for _, n := range total.Disconnects {
		ends += n
	}
	if ends != total.Accepted {
		t.Errorf("%d ends are counted for %d connections: %v", ends, total.Accepted, total.Disconnects)
	}
	until(t, "the descriptors of before", func() bool { return descriptors(t) <= openBefore })
	until(t, "the goroutines of before", func() bool { return runtime.NumGoroutine() <= goroutinesBefore })
}

// TestCrowdInOrder sends 1,000 events to 2,000 subscribers of one shard. Each
// must receive the very same bytes.
func TestCrowdInOrder(t *testing.T) {
	subscribers, events := scaled(2_000, 10), scaled(1_000, 2)
	s := start(t, oneShard, func(c *gateway.Config) {
		neverSlow(c)
		c.PingInterval = 1000 * time.Hour // pings would be other bytes; in each interval all clients get one
	})
	clients := startSwarm(t, s.ClientAddrs()[0], "news")
	var lines []string
	var want bytes.Buffer
	for i := range events {
		data := fmt.Sprintf(`{"n":%d,"pad":%q}`, i, strings.Repeat("x", 100))
		lines = append(lines, fmt.Sprintf(`{"channel":"news","data":%s}`+"\n", data))
		want.Write([]byte{0x81, 126})
		text := event("news", uint64(i+1), data)
		want.Write([]byte{byte(len(text) >> 8), byte(len(text))})
		want.WriteString(text)
	}
	var complete, wrong atomic.Int64
	clients.received = func(c *swarmClient, p []byte) {
		if rest := want.Bytes()[c.taken:]; !bytes.HasPrefix(rest, p) {
			if wrong.Add(1) == 1 {
				t.Logf("received %.200q at %d, want %.200q", p, c.taken, rest)
			}
			c.Close(nil)
			return
		}
		if c.taken += len(p); c.taken == want.Len() {
			complete.Add(1)
		}
	}
	clients.grow(subscribers, func(want int64) {
		until(t, "every client is subscribed", func() bool { return clients.subscribed.Load() == want })
	})
	publisher := s.publisher()
	for burst := range slices.Chunk(lines, 10) {
		publisher.sends(strings.Join(burst, ""))
	}
	until(t, "every client has every event", func() bool {
		return complete.Load() == int64(subscribers) || wrong.Load() > 0
	})
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d clients received something else", n)
	}
	stats := s.stats()
	if n := stats.Total.Deliveries; n != uint64(subscribers*events) {
		t.Errorf("%d deliveries are counted, want %d", n, subscribers*events)
	}
	t.Logf("%d deliveries in %d writes", stats.Total.Deliveries, stats.Total.Writes)
}

func TestPortInUse(t *testing.T) {
	s := start(t)
	for _, test := range []struct {
		name string
		set  func(c *gateway.Config)
		addr netip.AddrPort
	}{
		{"clients", func(c *gateway.Config) { c.Listen = s.ClientAddrs() }, s.ClientAddrs()[0]},
		{"publishers", func(c *gateway.Config) { c.Publish = s.PublishAddrs() }, s.PublishAddrs()[0]},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := descriptors(t)
			config := gateway.DefaultConfig(1_000)
			test.set(&config)
			_, err := gateway.New(config, testrun.Log(t))
			if !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(fmt.Sprint(err), test.addr.String()) {
				t.Errorf("New returned %v, want EADDRINUSE and the address %s", err, test.addr)
			}
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors are open, %d before", after, before)
			}
		})
	}
	s.connect() // the first one goes on
}
