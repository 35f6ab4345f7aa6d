//go:build long

package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway"
)

// publisherFrom connects to the publish port from an address of this machine.
func (s *server) publisherFrom(address string) *peer {
	s.Helper()
	from := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 0))
	conn, err := net.DialTCP("tcp", from, net.TCPAddrFromAddrPort(s.PublishAddrs()[0]))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return newPeer(s.TB, conn)
}

// TestLongPlacesOfPublishersWhoPublish has one address hold all places with publishers
// who publish once a minute, as they are asked to. An honest one of another address
// gets a place after some seconds, and keeps it.
func TestLongPlacesOfPublishersWhoPublish(t *testing.T) {
	const places = 20
	s := start(t, func(c *gateway.Config) { c.MaxPublishers, c.IngestLoops = places, 1 })
	var flood []*peer
	for range places {
		p := s.publisherFrom(otherAddress)
		p.publishes("news", "1")
		flood = append(flood, p)
	}
	full := time.Now()
	var honest *peer
	for honest == nil {
		p := s.publisherFrom(proxyAddress)
		p.sends(`{"id":1,"channel":"news","data":"honest"}` + "\n")
		if line, err := p.in.ReadString('\n'); err == nil && strings.Contains(line, `"results"`) {
			honest = p
		} else if time.Since(full) > 50*time.Second {
			t.Fatalf("an honest publisher got no place: %q, %v", line, err)
		} else {
			time.Sleep(50 * time.Millisecond) // it is a client that tries again
		}
	}
	last, err := io.ReadAll(flood[0].in)
	if err != nil || !strings.Contains(string(last), "this address has the most connections") {
		t.Errorf("the first of the flood was told %q, %v", last, err)
	}
	// The flood takes no place back from it.
	for i := range 2 * places {
		p := s.publisherFrom(otherAddress)
		p.sends(fmt.Sprintf(`{"id":1,"channel":"news","data":%d}`+"\n", i))
		_, _ = p.in.ReadString('\n')
	}
	honest.publishes("news", "2")
	if stats := s.stats().Publish; stats.Ended["replaced"] == 0 || stats.Publishers != places {
		t.Errorf("the counters are %+v", stats)
	}
}
