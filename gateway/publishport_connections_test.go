package gateway_test

import (
	"fmt"
	"testing"

	"fleetcast/gateway"
)

// TestManyPublishers has 2,000 connections that are open at the same time and
// publish one event each.
func TestManyPublishers(t *testing.T) {
	publishers := 2000
	if testing.Short() {
		publishers = 200
	}
	s := start(t, func(c *gateway.Config) { c.MaxPublishers, c.IngestLoops = publishers, 2 })
	subscriber := s.connect()
	epoch, _ := subscriber.subscribe("news")
	all := make([]*peer, publishers)
	for i := range all {
		all[i] = s.publisher()
	}
	s.eventually("all connections", func(g gateway.GatewayStats) bool { return g.Publish.Publishers == int64(publishers) })
	for i, p := range all {
		if i%2 == 0 {
			p.sends(fmt.Sprintf(`{"id":%d,"channel":"news","data":%d}`+"\n", i, i))
		} else {
			p.sends(array("PUBLISH", "news", fmt.Sprint(i)))
		}
	}
	offsets := make(map[uint64]bool)
	for i, p := range all {
		if i%2 == 1 {
			p.receives(":1\r\n")
			p.Close()
			continue
		}
		a := decode[answer](t, p.line())
		if a.ID == nil || *a.ID != uint64(i) || len(a.Results) != 1 || a.Results[0].Epoch != epoch || a.Results[0].Subscribers != 1 {
			t.Fatalf("publisher %d received %+v", i, a)
		}
		if offset := a.Results[0].Offset; offset < 1 || offset > uint64(publishers) || offsets[offset] {
			t.Errorf("offset %d was given twice", offset)
		} else {
			offsets[offset] = true
		}
		p.Close()
	}
	received := make(map[string]bool)
	for offset := uint64(1); offset <= uint64(publishers); offset++ {
		m := decode[message](t, subscriber.text())
		if m.Offset != offset || received[string(m.Data)] {
			t.Fatalf("received %+v behind %d events", m, offset-1)
		}
		received[string(m.Data)] = true
	}
	stats := s.eventually("the end of all", func(g gateway.GatewayStats) bool { return g.Publish.Publishers == 0 })
	if stats.Publish.Events != uint64(publishers) || stats.Publish.CreditsUsed != 0 {
		t.Errorf("the counters are %+v", stats.Publish)
	}
}

func TestMaxPublishers(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.MaxPublishers = 2 })
	one, two := s.publisher(), s.publisher()
	one.publishes("news", "1")
	two.publishes("news", "2")
	three := s.publisher()
	three.receives("-ERR max number of clients reached\r\n")
	three.ends()
	one.publishes("news", "3")
	two.Close()
	s.eventually("room", func(g gateway.GatewayStats) bool { return g.Publish.Publishers == 1 })
	if r := s.publish("news", "4"); r.Offset != 4 {
		t.Errorf("published with %+v", r)
	}
}

// The publish port may be off.
func TestWithoutPublishPort(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.Publish = nil })
	if addrs := s.PublishAddrs(); len(addrs) != 0 {
		t.Errorf("bound to %v", addrs)
	}
	p := s.connect()
	p.says(ping)
	p.wants(`{"type":"pong"}`)
	if stats := s.stats().Publish; stats.Publishers != 0 {
		t.Errorf("the counters are %+v", stats)
	}
}
