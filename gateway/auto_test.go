package gateway_test

import (
	"strings"
	"testing"

	"fleetcast/gateway"
)

// TestAutoOfUser: {user} in the channels of auto is the user. A user whose name cannot be part of
// a channel's name is told so.
func TestAutoOfUser(t *testing.T) {
	s := start(t, identified)
	open := func(who claims) *peer {
		who["fleetcast"] = grants(`{"auto":["inbox.{user}","news"]}`)
		p := s.shows("Authorization: Bearer " + signed(who))
		p.welcomed()
		return p
	}
	for name, test := range map[string]struct {
		claims
		channel string
	}{
		"alice":    {claims{"sub": "alice"}, "inbox.alice"},
		"bob":      {claims{"sub": "bob"}, "inbox.bob"},
		"a number": {claims{"sub": 17}, "inbox.17"},
		"no user":  {claims{}, ""},
	} {
		p := open(test.claims)
		for _, channel := range []string{test.channel, "news"} {
			if channel == "" {
				continue
			}
			if m := decode[standing](p, p.text()); m.Type != "subscribed" || m.Channel != channel {
				t.Errorf("%s: the client is told %+v, want %s", name, m, channel)
			}
		}
		p.says(ping)
		p.wants(pong)
	}
	p := open(claims{"sub": "Jürgen Groß"})
	if m := decode[standing](p, p.text()); m.Code != "bad_channel" || !strings.Contains(m.Message, "inbox.J") {
		t.Errorf("the client is told %+v", m)
	}
	if m := decode[standing](p, p.text()); m.Type != "subscribed" || m.Channel != "news" {
		t.Errorf("the client is told %+v", m)
	}
	alice := open(claims{"sub": "alice"})
	alice.text()
	alice.text()
	for user, code := range map[string]string{"alice": "already_subscribed", "bob": "permission_denied", "{user}": "permission_denied"} {
		alice.says(`{"type":"subscribe","id":1,"channel":"inbox.` + user + `"}`)
		if m := decode[standing](alice, alice.text()); m.Code != code {
			t.Errorf("inbox.%s: answered with %+v", user, m)
		}
	}
	// Each of the clients has news; two have no other channel, and alice is there twice.
	s.eventually("subscriptions", func(st gateway.GatewayStats) bool { return st.Total.Subscriptions == 10 })
}
