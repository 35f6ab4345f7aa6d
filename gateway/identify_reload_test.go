package gateway_test

import (
	"testing"
	"time"

	"fleetcast/gateway"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/token"
)

// kept keeps the configuration, so that a test can change it.
func kept(to *gateway.Config) func(*gateway.Config) {
	return func(c *gateway.Config) { *to = *c }
}

// TestRulesThatAllowLess end subscriptions at a reload, and tell the client.
func TestRulesThatAllowLess(t *testing.T) {
	t.Parallel() // it waits most of the time
	set := func(audience rules.Audience) func(*gateway.Config) {
		return func(c *gateway.Config) {
			c.PingInterval = 200 * time.Millisecond
			c.Channels = []rules.Entry{{Match: "news", Subscribe: &audience}}
		}
	}
	var next gateway.Config
	s := start(t, set(rules.Anyone), kept(&next))
	p, other := s.connect(), s.connect()
	p.subscribe("news")
	other.subscribe("chat")
	set(rules.Nobody)(&next)
	if err := s.Reconfigure(next); err != nil {
		t.Fatal(err)
	}
	if m := decode[standing](p, p.text()); m.Type != "unsubscribed" || m.Channel != "news" || m.Code != "permission_denied" {
		t.Errorf("the client is told %+v", m)
	}
	s.publish("chat", "1")
	if m := decode[message](other, other.text()); m.Channel != "chat" {
		t.Errorf("the other client gets %+v", m)
	}
}

// TestReloadedIssuer: a client stays who it is, and later tokens are those of the new issuer.
func TestReloadedIssuer(t *testing.T) {
	var next gateway.Config
	s := start(t, identified, kept(&next))
	p := s.shows("Authorization: Bearer " + alice())
	p.welcomed()
	p.subscribe("chat.a")
	next.Issuers = []token.Issuer{{Secret: "another secret of the same length, or more"}}
	if err := s.Reconfigure(next); err != nil {
		t.Fatal(err)
	}
	s.shows("Authorization: Bearer "+alice()).refused(401, "token_invalid", "")
	s.publish("chat.a", "1")
	if m := decode[message](p, p.text()); m.Channel != "chat.a" {
		t.Errorf("the client gets %+v", m)
	}
	next.Issuers = []token.Issuer{{Secret: "short"}}
	if err := s.Reconfigure(next); err == nil {
		t.Error("a short secret is accepted")
	}
	identified(&next)
	if err := s.Reconfigure(next); err != nil {
		t.Fatal(err)
	}
	s.shows("Authorization: Bearer " + alice()).welcomed()
}
