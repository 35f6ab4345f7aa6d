package gateway_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/gateway"
	"fleetcast/gateway/rules"
)

// subscribes asks for a channel with a token, and returns the answer.
func (p *peer) subscribes(channel, token string) standing {
	p.Helper()
	p.says(fmt.Sprintf(`{"type":"subscribe","id":1,"channel":%q,"token":%q}`, channel, token))
	return decode[standing](p, p.text())
}

// TestSubscriptionTokenRenewed: with another token a subscription lasts longer, and misses
// nothing. A token that is refused leaves it as it is.
func TestSubscriptionTokenRenewed(t *testing.T) {
	t.Parallel() // it waits most of the time
	var ahead atomic.Int64
	s := start(t, identified, func(c *gateway.Config) {
		c.PingInterval = 100 * time.Millisecond
		c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	expiring := func(hours int) string {
		return signed(claims{"sub": "alice", "channel": "orders.17", "exp": time.Now().Add(time.Duration(hours) * time.Hour).Unix()})
	}
	p := s.shows("Authorization: Bearer " + signed(claims{"sub": "alice", "exp": time.Now().Add(20 * time.Hour).Unix()}))
	p.welcomed()
	wantLife := func(m standing, hours int) {
		t.Helper()
		most := hours * 3_600_000
		if m.Type != "subscribed" || m.Channel != "orders.17" || m.Expires > most || m.Expires < most-600_000 {
			t.Errorf("answered with %+v, want a subscription for %d ms", m, most)
		}
		if m.Refresh < m.Expires/2 || m.Refresh > m.Expires*9/10+1 {
			t.Errorf("to be renewed in %d of %d ms", m.Refresh, m.Expires)
		}
	}
	wantLife(p.subscribes("orders.17", expiring(1)), 1)
	s.publish("orders.17", "1")
	p.text()
	wantLife(p.subscribes("orders.17", expiring(3)), 3)
	wantLife(p.subscribes("orders.17", expiring(2)), 3) // the other one is still good

	for code, token := range map[string]string{
		"token_expired":   expiring(-1),
		"token_wrong_use": signed(claims{"sub": "bob", "channel": "orders.17"}),
		"token_malformed": "x",
	} {
		if m := p.subscribes("orders.17", token); m.Type != "error" || m.Code != code {
			t.Errorf("answered with %+v, want %s", m, code)
		}
	}
	p.says(`{"type":"subscribe","id":2,"channel":"orders.17"}`)
	if m := decode[standing](p, p.text()); m.Code != "already_subscribed" {
		t.Errorf("without a token: answered with %+v", m)
	}
	if n := s.stats().Total.Subscriptions; n != 1 {
		t.Errorf("%d subscriptions", n)
	}

	ahead.Store(int64(2*time.Hour + time.Minute)) // two of the tokens have ended
	p.says(ping)
	p.wants(pong)
	s.publish("orders.17", "2")
	if m := decode[message](p, p.text()); m.Type != "event" || m.Offset != 2 {
		t.Errorf("behind two tokens: %+v", m)
	}
	ahead.Store(int64(4 * time.Hour))
	if m := decode[standing](p, p.text()); m.Type != "unsubscribed" || m.Code != "token_expired" {
		t.Errorf("behind all tokens: %+v", m)
	}
}

// TestRenewedBehindEvents has a client renew its subscription while events wait for it that it
// has not read: the answer goes ahead of them, and says so by its offset.
func TestRenewedBehindEvents(t *testing.T) {
	for _, policy := range []rules.SlowPolicy{rules.SlowDisconnect, rules.SlowDropOldest} {
		t.Run(fmt.Sprint(policy), func(t *testing.T) {
			s := start(t, identified, neverSlow, func(c *gateway.Config) { c.SlowPolicy, c.BacklogBytes = policy, 1<<20 })
			p := dial(t, s.clientAddr(), 4096)
			p.sends(head + "Authorization: Bearer " + alice() + "\r\n\r\n")
			p.welcomed()
			token := signed(claims{"sub": "alice", "channel": "orders.17"})
			p.subscribes("orders.17", token)
			const events = 6000
			s.burst("orders.17", events, 1000)
			s.eventually("events wait", func(st gateway.GatewayStats) bool { return st.Total.BacklogBytes > 1<<19 && st.Total.QueuedEvents == 0 })
			p.says(strings.Replace(fmt.Sprintf(`{"type":"subscribe","id":7,"channel":"orders.17","token":%q}`, token), "id\":1", "id\":7", 1))
			next, answered := uint64(1), false
			for next <= events || !answered {
				switch m := decode[message](p, p.text()); {
				case m.Type == "event" && m.Offset == next:
					next++
				case m.Type == "gap" && m.From == next:
					next = m.To + 1
				case m.Type == "subscribed" && m.Offset == next-1 && !answered:
					if answered = true; next > events {
						t.Error("the answer came behind all events, so this has tested nothing")
					}
				default:
					t.Fatalf("received %+v when offset %d was due", m, next)
				}
			}
		})
	}
}

// TestSubscribeHookRenewed: a hook is asked about the token by which its client renews a
// subscription, and its answer counts.
func TestSubscribeHookRenewed(t *testing.T) {
	h := newRoomHook(t)
	s := start(t, identified, h.decides)
	p := s.shows("Authorization: Bearer " + signed(claims{"sub": "alice", "fleetcast": grants(`{"subscribe":["room.**"]}`)}))
	p.welcomed()
	for i := range 3 {
		if m := p.subscribes("room.1", fmt.Sprint("invitation-", i)); m.Type != "subscribed" || m.Channel != "room.1" {
			t.Errorf("answered with %+v", m)
		}
		if asked := h.questions(); len(asked) != i+1 || asked[i].Token != fmt.Sprint("invitation-", i) {
			t.Errorf("the hook is asked %+v", asked)
		}
	}
	p.says(`{"type":"subscribe","id":2,"channels":["room.1","room.2","room.2"]}`)
	for _, want := range []string{"already_subscribed", "", "already_subscribed"} {
		if m := decode[standing](p, p.text()); m.Code != want {
			t.Errorf("answered with %+v, want %q", m, want)
		}
	}
	if n := s.stats().Total.Subscriptions; n != 2 {
		t.Errorf("%d subscriptions", n)
	}
}
