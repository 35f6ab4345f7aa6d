package ingest

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// TestPlacesByAddress fills the places of a loop and asks who gives its place to one
// more connection.
func TestPlacesByAddress(t *testing.T) {
	type held struct {
		address string
		ago     []time.Duration // each connection's last event; negative: none
	}
	seconds := func(all ...int) (ago []time.Duration) {
		for _, s := range all {
			ago = append(ago, time.Duration(s)*time.Second)
		}
		return ago
	}
	const flood, honest, third = "192.0.2.1", "192.0.2.2", "2001:db8::1"
	for _, test := range []struct {
		name string
		held []held
		new  string
		want string // address and seconds
	}{
		{"nobody", nil, honest, ""},
		{"one that never published", []held{{flood, seconds(50, 40, 30)}, {honest, seconds(-1)}}, third, honest + " -1"},
		{"of the address with the most, the longest idle", []held{{flood, seconds(9, 30, 20)}, {honest, seconds(50)}}, third, flood + " 30"},
		{"not one that has just published", []held{{flood, seconds(4, 3, 2)}, {honest, seconds(50)}}, third, ""},
		{"but then of the next address", []held{{flood, seconds(4, 3, 2, 1)}, {honest, seconds(50, 20)}}, third, honest + " 50"},
		{"not to its own address", []held{{flood, seconds(9, 30, 20)}, {honest, seconds(50)}}, flood, ""},
		{"not to an address that would have more", []held{{flood, seconds(9, 30)}, {honest, seconds(9, 9)}}, honest, ""},
		{"to one that would have as many", []held{{flood, seconds(9, 30, 20)}, {honest, seconds(9)}}, honest, flood + " 30"},
		{"a network counts as an address", []held{{third, seconds(9, 30)}, {honest, seconds(9)}}, "2001:db8::2", ""},
		{"after a minute to anybody", []held{{flood, seconds(9, 30, 20)}, {honest, seconds(61)}}, flood, honest + " 61"},
	} {
		t.Run(test.name, func(t *testing.T) {
			const now = time.Hour
			var s publisherPlaces
			var all []*publisher
			for _, h := range test.held {
				for _, ago := range h.ago {
					p := &publisher{remote: fmt.Sprint(h.address, " ", int(ago.Seconds())), publishedAt: now - ago}
					s.enter(p, netip.MustParseAddr(h.address))
					all = append(all, p)
				}
			}
			for ago := 61; ago >= 0; ago-- { // in the order of time
				for _, p := range all {
					if p.publishedAt == now-time.Duration(ago)*time.Second {
						s.published(p, p.publishedAt)
					}
				}
			}
			got := ""
			if p := s.next(netip.MustParseAddr(test.new), now); p != nil {
				got = p.remote
			}
			if got != test.want {
				t.Errorf("%q gives its place, want %q", got, test.want)
			}
			for _, p := range all {
				s.leave(p)
			}
			if s.used.Len()+s.unused.Len()+len(s.from) != 0 || len(s.counts) > 1 {
				t.Errorf("when all have left, there are %+v", s)
			}
		})
	}
}
