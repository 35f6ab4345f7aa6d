package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"fleetcast/gateway"
)

// often is a rate that nobody in a test has to wait for.
var often = gateway.Rate{PerSecond: 1e6, Burst: 1000}

// startRate is a gateway with a rate that allows three for an hour, and how to
// change it.
func startRate(t *testing.T, set func(*gateway.Config, gateway.Rate)) (s *server, change func(gateway.Rate)) {
	var config gateway.Config
	s = start(t, func(c *gateway.Config) { set(c, three); config = *c })
	return s, func(r gateway.Rate) {
		t.Helper()
		set(&config, r)
		if err := s.Reconfigure(config); err != nil {
			t.Fatal(err)
		}
	}
}

// A rate that is raised counts at once for who has used the old one up.
func TestReconfigureConnects(t *testing.T) {
	for name, test := range map[string]struct {
		set    func(*gateway.Config, gateway.Rate)
		status int
	}{
		"all":     {func(c *gateway.Config, r gateway.Rate) { c.Connects, c.ConnectQueue = r, 0 }, 503},
		"address": {func(c *gateway.Config, r gateway.Rate) { c.AddressConnects = r }, 429},
	} {
		t.Run(name, func(t *testing.T) {
			s, change := startRate(t, test.set)
			for range 3 {
				s.connect()
			}
			for range 2 {
				p := s.dialRaw()
				p.sends(head + "\r\n")
				p.retryAfter(test.status, "try again later")
			}
			change(often)
			for range 5 {
				s.connect()
			}
		})
	}
}

// TestReconfigurePublishes is the same for connections that have published.
func TestReconfigurePublishes(t *testing.T) {
	const refused = "rate_limited"
	for name, test := range map[string]struct {
		set     func(*gateway.Config, gateway.Rate)
		connect func(*server) *peer
		publish func(*peer) (answer string)
	}{
		"publisher": {
			func(c *gateway.Config, r gateway.Rate) { c.PublisherRate = r },
			(*server).publisher,
			func(p *peer) string { p.sends(`{"id":1,"channel":"a","data":1}` + "\n"); return p.line() },
		},
		"client": {
			func(c *gateway.Config, r gateway.Rate) {
				c.ClientPublishes, c.ClientPublish = r, gateway.Patterns{"a"}
			},
			(*server).connect,
			func(p *peer) string { p.says(`{"type":"publish","channel":"a","data":1}`); return p.text() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, change := startRate(t, test.set)
			p := test.connect(s)
			for i := range 5 {
				if answer := test.publish(p); strings.Contains(answer, refused) != (i >= 3) {
					t.Fatalf("event %d is answered with %s", i, answer)
				}
			}
			change(often)
			for i := range 5 {
				if answer := test.publish(p); !strings.Contains(answer, fmt.Sprintf(`"offset":%d`, 4+i)) {
					t.Fatalf("after the change, event %d is answered with %s", i, answer)
				}
			}
		})
	}
}
