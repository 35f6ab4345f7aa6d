package gateway_test

import (
	"crypto/ecdsa"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/gateway"
	"fleetcast/gateway/hook"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/token"
)

// reloading is a gateway that is configured anew again and again, in two ways that take turns,
// and what may go on all the time, or only half of it.
type reloading struct {
	*server
	rooms          *roomHook         // decides about room.**
	connected      *connectHook      // is asked by the odd configurations, and says what alice's token does
	key, lasting   *ecdsa.PrivateKey // of tokens that only the even configurations take, and that all do
	stays, goes    string            // publishers' keys; the second is that of even configurations
	work           sync.WaitGroup
	stop           atomic.Bool
	published      atomic.Int64 // events of chat.a
	connects       atomic.Int64 // by who may all the time
	rotated        atomic.Int64 // requests to connect of the others that were refused
	opened         atomic.Int64 // subscriptions that even configurations allow
	withdrawn, cut atomic.Int64 // of them, and of publishers, those that have ended and were told
}

// configure makes one of the two configurations of c.
func (r *reloading) configure(c *gateway.Config, even bool, stays, goes gateway.Key) {
	r.rooms.decides(c)
	c.ConnectHook = nil
	anyone, nobody, rooms := rules.Anyone, rules.Nobody, "rooms"
	sometimes := &nobody
	c.Issuers = []token.Issuer{{Secret: secret}, {Issuer: "lasting", Keys: publicPEM(r.lasting)}}
	c.PublishKeys = []gateway.Key{stays}
	if even {
		sometimes = &anyone
		c.Issuers = append(c.Issuers, token.Issuer{Issuer: "rotated", Keys: publicPEM(r.key)})
		c.PublishKeys[0].Channels = []string{"chat.*", "sometimes"}
		c.PublishKeys = append(c.PublishKeys, goes)
	} else {
		r.connected.asked(c)
		c.SubscribeHooks = map[string]hook.Options{"rooms": c.SubscribeHooks["rooms"], "clubs": c.SubscribeHooks["rooms"]}
	}
	c.Channels = []rules.Entry{{Match: "sometimes", Subscribe: sometimes}, {Match: "room.**", SubscribeHook: &rooms}}
}

// does has several clients or publishers do something until the end.
func (r *reloading) does(n int, do func()) {
	for range n {
		r.work.Go(func() {
			for !r.stop.Load() {
				do()
			}
		})
	}
}

// TestReloadUnderLoad configures a gateway anew while clients connect, show new tokens,
// subscribe and come back, and publishers publish. Who may do so all the time notices
// nothing; who may not any more is told; and nothing is left behind.
func TestReloadUnderLoad(t *testing.T) { reloadUnderLoad(t, scaled(40, 2)) }

func reloadUnderLoad(t *testing.T, reloads int) {
	w := newWitness(t)
	r := &reloading{rooms: newRoomHook(t), connected: hookThatSays(t, `{"user":"alice","grants":{"subscribe":["chat.*"]}}`)}
	r.key, r.lasting = newES256(t), newES256(t)
	var stays, goes gateway.Key
	r.stays, stays = w.key("stays", "**")
	r.goes, goes = w.key("goes", "**")
	var config gateway.Config
	r.server = start(t, noRates, neverSlow, func(c *gateway.Config) {
		c.PingInterval, c.MessageTimeout = 100*time.Millisecond, time.Minute
		r.configure(c, true, stays, goes)
	}, kept(&config))
	r.stats()
	goroutines, open := runtime.NumGoroutine(), descriptors(t)

	subscribers := []*peer{r.known(), r.known()}
	for _, p := range subscribers {
		p.SetDeadline(time.Now().Add(5 * patience))
		p.subscribe("chat.a")
		r.work.Go(func() { r.reads(p) })
	}
	r.work.Go(r.publishes)
	r.does(2, r.connectsAgain)
	r.does(1, r.connectsByRotatedKey)
	r.does(1, r.refreshes)
	r.does(1, r.subscribesAgain)
	r.does(1, r.publishesByKeyThatGoes)
	for i := 1; i <= reloads; i++ {
		done := r.connects.Load() + 2
		r.configure(&config, i%2 == 0, stays, goes)
		if err := r.Reconfigure(config); err != nil {
			t.Errorf("reload %d: %v", i, err)
		}
		until(t, "connects beside reloads", func() bool { return r.connects.Load() >= done || t.Failed() })
		switch i % 8 { // clients are told when the loop comes by, within a ping interval
		case 0:
			until(t, "a subscription for some time", func() bool { return r.opened.Load() > r.withdrawn.Load() || t.Failed() })
		case 1:
			until(t, "the end of subscriptions", func() bool { return r.opened.Load() == r.withdrawn.Load() || t.Failed() })
		}
	}
	r.configure(&config, false, stays, goes)
	if err := r.Reconfigure(config); err != nil {
		t.Error(err)
	}
	until(t, "a subscription that ends, a publisher and a token that are refused", func() bool {
		return r.withdrawn.Load() > 0 && r.cut.Load() > 0 && r.rotated.Load() > 0 || t.Failed()
	})
	r.stop.Store(true)
	r.work.Wait()
	for _, p := range subscribers {
		p.Close()
	}
	r.eventually("the end of all", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 && g.Publish.Publishers == 0 })
	stats := r.stats()
	for reason := range stats.Total.Disconnects {
		if reason != "client_vanished" && reason != "handshake_failed" {
			t.Errorf("the gateway has ended connections: %v", stats.Total.Disconnects)
		}
	}
	if n := stats.Publish.Ended; len(n) > 1 || n["no_key"] > uint64(r.cut.Load()) {
		t.Errorf("%d publishers were told that their keys are gone, and ended were %v", r.cut.Load(), n)
	}
	until(t, "the goroutines and descriptors of before", func() bool { return runtime.NumGoroutine() <= goroutines+2 && descriptors(t) <= open+2 })
	t.Logf("%d reloads, %d events, %d connects, %d subscriptions ended", reloads, r.published.Load(), r.connects.Load(), r.withdrawn.Load())
}

// known is a client with alice's token, which is right all the time.
func (r *reloading) known() *peer {
	p := r.shows("Authorization: Bearer " + alice())
	p.welcomed()
	return p
}

// reads gets all events of chat.a, each one behind the one before.
func (r *reloading) reads(p *peer) {
	for want := uint64(1); !r.stop.Load() || int64(want) <= r.published.Load(); want++ {
		if m := decode[message](p, p.text()); m.Type != "event" || m.Offset != want {
			p.Fatalf("the subscriber gets %+v, want the event %d", m, want)
		}
	}
}

// publishes publishes to chat.a over one connection.
func (r *reloading) publishes() {
	p := r.publisher()
	defer p.Close()
	p.SetDeadline(time.Now().Add(5 * patience))
	p.sends(auth(r.stays))
	p.line()
	last := false // subscribers wait for an event behind the stop
	for n := uint64(1); !last; n++ {
		last = r.stop.Load()
		r.published.Add(1)
		if got := p.publishes("chat.a", "1"); got.Offset != n {
			p.Fatalf("the event has the offset %d, want %d", got.Offset, n)
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// connectsAgain connects with a token that is new each time, subscribes by it and by a hook,
// and goes.
func (r *reloading) connectsAgain() {
	p := r.shows("Authorization: Bearer " + signedES256(claims{"iss": "lasting", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(),
		"fleetcast": grants(`{"subscribe":["chat.*"]}`)}, r.lasting)) // its signature is another one each time
	defer p.Close()
	p.welcomed()
	p.subscribe("chat.b")
	p.says(`{"type":"subscribe","id":1,"channel":"room.1"}`)
	if m := decode[standing](p, p.text()); m.Type != "subscribed" {
		p.Fatalf("subscribing by a hook is answered with %+v", m)
	}
	r.connects.Add(1)
}

// connectsByRotatedKey connects while the key of its token is configured, and is refused for
// good while it is not.
func (r *reloading) connectsByRotatedKey() {
	p := r.shows("Authorization: Bearer " + signedES256(claims{"iss": "rotated", "sub": "bob", "exp": time.Now().Add(time.Hour).Unix()}, r.key))
	defer p.Close()
	switch answer := p.responseHead(); {
	case strings.HasPrefix(answer, "HTTP/1.1 101 "):
	case strings.HasPrefix(answer, "HTTP/1.1 401 ") && (strings.Contains(answer, token.UnknownIssuer) || strings.Contains(answer, token.Invalid)):
		r.rotated.Add(1)
	default:
		p.Fatalf("a token of an issuer that goes is answered with %q", answer)
	}
}

// refreshes shows new tokens on one connection.
func (r *reloading) refreshes() {
	p := r.known()
	defer p.Close()
	for n := 0; !r.stop.Load() && n < 20; n++ {
		p.says(fmt.Sprintf(`{"type":"authenticate","id":1,"token":%q}`, signed(claims{"sub": "alice", "n": n, "fleetcast": grants(`{"subscribe":["chat.*"]}`)})))
		if m := decode[standing](p, p.text()); m.Type != "authenticated" || m.User != "alice" {
			p.Fatalf("a new token is answered with %+v", m)
		}
	}
}

// subscribesAgain subscribes to a channel that a rule opens and closes, and is told when it
// closes.
func (r *reloading) subscribesAgain() {
	p := r.known()
	defer p.Close()
	p.says(`{"type":"subscribe","id":1,"channel":"sometimes"}`)
	if m := decode[standing](p, p.text()); m.Type != "subscribed" {
		if m.Code != "permission_denied" {
			p.Fatalf("subscribing is answered with %+v", m)
		}
		return
	}
	r.opened.Add(1)
	for !r.stop.Load() {
		p.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := p.in.Peek(2); err != nil {
			continue
		}
		p.SetReadDeadline(time.Now().Add(patience))
		if f := p.frame(); strings.Contains(string(f.Payload), `"unsubscribed"`) {
			if m := decode[standing](p, string(f.Payload)); m.Channel != "sometimes" || m.Code != "permission_denied" {
				p.Fatalf("the client is told %+v", m)
			}
			r.withdrawn.Add(1)
			return
		}
	}
}

// publishesByKeyThatGoes publishes until its key is removed, and is told so.
func (r *reloading) publishesByKeyThatGoes() {
	p := r.publisher()
	defer p.Close()
	p.sends(auth(r.goes))
	for line := p.line(); !r.stop.Load(); line = p.line() {
		switch {
		case strings.Contains(line, `"invalid_key"`), strings.Contains(line, `"rate_limited"`):
			time.Sleep(10 * time.Millisecond)
			return
		case strings.Contains(line, `"authentication_required"`):
			r.cut.Add(1)
			return
		case !strings.Contains(line, `"authenticated"`) && !strings.Contains(line, `"results"`):
			p.Fatalf("the publisher is answered with %s", line)
		}
		p.sends(`{"id":1,"channel":"other","data":1}` + "\n")
		time.Sleep(time.Millisecond)
	}
}
