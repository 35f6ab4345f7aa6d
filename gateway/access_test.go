package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"fleetcast/gateway"
	"fleetcast/gateway/rules"
)

// TestAccess has clients subscribe and publish where the rules let them, and nowhere
// else. None of them has a user or a token.
func TestAccess(t *testing.T) {
	anybody, users, tokens, nobody := rules.Anyone, rules.Users, rules.Tokens, rules.Nobody
	const (
		subscribed, published = "", "" // no refusal
		noUser                = "this channel is for clients that have a user (subscribe: user)"
		noToken               = "this channel is for clients whose token grants it (subscribe: token)"
		none                  = "no client may subscribe to this channel (subscribe: nobody)"
		silentUser            = "clients may not publish to this channel without a user (publish: user)"
		silentToken           = "clients may not publish to this channel unless their token grants it (publish: token)"
		silent                = "clients may not publish to this channel"
	)
	entries := []rules.Entry{
		{Match: "open.*", Subscribe: &anybody, Publish: &anybody},
		{Match: "users.*", Subscribe: &users, Publish: &users},
		{Match: "tokens.*", Subscribe: &tokens, Publish: &tokens},
		{Match: "inbox.{user}", Subscribe: &anybody, Publish: &anybody},
		{Match: "inbox.*", Subscribe: &nobody, Publish: &nobody},
	}
	for name, test := range map[string]struct {
		set  func(*gateway.Config)
		want map[string][2]string // what subscribe and publish are told
	}{
		"without identity": {func(*gateway.Config) {}, map[string][2]string{
			"open.a": {subscribed, published}, "users.a": {noUser, silentUser}, "tokens.a": {noToken, silentToken},
			"inbox.{user}": {none, silent}, "inbox.": {none, silent}, "other": {subscribed, silent}, "open.a.b": {subscribed, silent},
		}},
		"without identity, where others can reach it": {func(c *gateway.Config) { c.DefaultSubscribe = rules.Nobody }, map[string][2]string{
			"open.a": {subscribed, published}, "users.a": {noUser, silentUser}, "inbox.{user}": {none, silent}, "other": {none, silent}, "open.a.b": {none, silent},
		}},
		"identified": {identified, map[string][2]string{
			"open.a": {subscribed, published}, "other": {noToken, silentToken}, "open.a.b": {noToken, silentToken}, "inbox.a.b": {noToken, silentToken},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, oneShard, func(c *gateway.Config) {
				c.Channels = entries
				test.set(c)
			})
			for i, command := range []string{"subscribe", "publish"} {
				p := dialCoder(s, nil, nil)
				p.welcome()
				for channel, want := range test.want {
					p.says(fmt.Sprintf(`{"type":%q,"id":7,"channel":%q,"data":1}`, command, channel))
					if want[i] == "" {
						if text := p.text(); !strings.HasPrefix(text, `{"type":"`+[]string{"subscribed", "published"}[i]+`"`) {
							t.Errorf("%s to %s is answered with %s", command, channel, text)
						}
						continue
					}
					p.wants(fmt.Sprintf(`{"type":"error","id":7,"code":"permission_denied","message":"%s \"%s\": %s"}`, command, channel, want[i]))
				}
			}
			if denied := s.stats().Total.CommandErrors["permission_denied"]; denied == 0 {
				t.Error("no refusal is counted")
			}
			if streams := s.stats().Publish.Streams; streams > 3 {
				t.Errorf("%d streams: those of refused channels too", streams)
			}
		})
	}
}

// TestAccessChanges changes who may subscribe while clients have subscriptions. A rule
// counts for the next command; subscriptions are looked at once per ping interval, which is
// longer than this test.
func TestAccessChanges(t *testing.T) {
	nobody := rules.Nobody
	var config gateway.Config
	s := start(t, oneShard, func(c *gateway.Config) { config = *c })
	stays, comes := dialCoder(s, nil, nil), dialCoder(s, nil, nil)
	stays.welcome()
	comes.welcome()
	stays.subscribe("a")
	comes.subscribe("a")
	configure := func(entries ...rules.Entry) {
		t.Helper()
		config.Channels = entries
		if err := s.Reconfigure(config); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(channel string) {
		t.Helper()
		comes.says(fmt.Sprintf(`{"type":"subscribe","channel":%q}`, channel))
		comes.wants(fmt.Sprintf(`{"type":"error","code":"permission_denied","message":"subscribe \"%s\": no client may subscribe to this channel (subscribe: nobody)"}`, channel))
	}
	configure(rules.Entry{Match: "**", Subscribe: &nobody})
	comes.says(`{"type":"unsubscribe","channel":"a"}`)
	comes.wants(`{"type":"unsubscribed","channel":"a"}`)
	refused("a") // which the shard has
	refused("b")
	s.publisher().publishes("a", "1")
	stays.wants(event("a", 1, "1"))
	configure(rules.Entry{Match: "b", Subscribe: &nobody})
	comes.subscribe("a")
	refused("b")
	configure()
	comes.subscribe("b")
}
