package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
	"fleetcast/gateway/hook"
	"fleetcast/gateway/rules"
)

// roomHook is a server that is asked about subscriptions. What it answers is in the name of
// the channel.
type roomHook struct {
	*httptest.Server
	held   chan struct{} // if it is not nil, answers wait for it
	answer string        // to everything, if it is not empty

	mu    sync.Mutex
	asked []subscribeQuestion
	now   atomic.Int64 // questions that wait for an answer
	most  atomic.Int64
}

type subscribeQuestion struct{ Type, Client, Address, User, Channel, Token string }

func newRoomHook(t *testing.T) *roomHook {
	h := new(roomHook)
	h.Server = httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.Close)
	return h
}

func (h *roomHook) serve(w http.ResponseWriter, r *http.Request) {
	var q subscribeQuestion
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	h.asked = append(h.asked, q)
	h.mu.Unlock()
	n := h.now.Add(1)
	defer h.now.Add(-1)
	for most := h.most.Load(); n > most && !h.most.CompareAndSwap(most, n); most = h.most.Load() {
	}
	if h.held != nil {
		select {
		case <-h.held:
		case <-r.Context().Done(): // the gateway has given up
			return
		}
	}
	answer := map[string]string{
		"room.no":    `{"allow":false}`,
		"room.plan":  `{"refuse":{"reason":"plan_ended","message":"your plan has ended"}}`,
		"room.later": `{"refuse":{"temporary":true}}`,
		"room.hour":  `{"allow":true,"expires_in_ms":3600000}`,
		"room.bad":   `{"error":"the database is down"}`,
	}[q.Channel]
	switch {
	case h.answer != "":
		answer = h.answer
	case answer == "":
		answer = `{"allow":true}`
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answer)
}

// questions are those that were asked.
func (h *roomHook) questions() []subscribeQuestion {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]subscribeQuestion(nil), h.asked...)
}

// decides has the hook decide about room.**, but for the lobby.
func (h *roomHook) decides(c *gateway.Config) {
	o := hook.DefaultOptions()
	o.URL, o.Timeout = h.URL, patience
	c.SubscribeHooks = map[string]hook.Options{"rooms": o}
	anyone, rooms := rules.Anyone, "rooms"
	c.Channels = []rules.Entry{{Match: "room.lobby", Subscribe: &anyone}, {Match: "room.**", SubscribeHook: &rooms}}
}

// TestSubscribeHook subscribes to channels in one command, of which a hook decides some. The
// answers come in the order of the names.
func TestSubscribeHook(t *testing.T) {
	h := newRoomHook(t)
	s := start(t, h.decides)
	p := s.dialRaw()
	p.sends(head + "\r\n")
	client := p.welcomed().Client
	names := []string{"news", "room.1", "room.no", "room.lobby", "room.plan", "room.later", "room.bad", "a b", "room.1", "other"}
	list, _ := json.Marshal(names)
	p.says(fmt.Sprintf(`{"type":"subscribe","id":7,"channels":%s}`, list))
	p.says(ping)
	for i, want := range []string{"subscribed", "subscribed", "permission_denied", "subscribed", "plan_ended", "not_available", "not_available", "bad_channel", "already_subscribed", "subscribed"} {
		got := decode[struct {
			standing
			Retry int `json:"retry_after_ms"`
		}](p, p.text())
		if got.ID != 7 || got.Code+strings.TrimPrefix(got.Type, "error") != want || got.Type == "error" && got.Code != "bad_channel" && !strings.Contains(got.Message, names[i]) {
			t.Errorf("%s is answered with %+v, want %s", names[i], got, want)
		}
		if temporary := want == "not_available"; (got.Retry > 0) != temporary {
			t.Errorf("%s is to be tried again in %d ms", names[i], got.Retry)
		}
	}
	p.wants(pong) // what came behind the command is answered behind it
	for _, q := range h.questions() {
		if q.Type != "subscribe" || q.Client != client || q.Address != "127.0.0.1" || !strings.HasPrefix(q.Channel, "room.") || q.Channel == "room.lobby" {
			t.Errorf("the hook is asked %+v", q)
		}
	}
	s.publish("room.no", "1")
	s.publish("room.1", "2")
	if m := decode[message](p, p.text()); m.Channel != "room.1" {
		t.Errorf("an event of %s comes", m.Channel)
	}
	counted := s.stats()
	if r := counted.SubscribeHooks["rooms"].Requests; r["allowed"] == 0 || r["refused"] != 3 || r["hook_failed"] != 1 {
		t.Errorf("counted are %v", r)
	}
	if errors := counted.Total.CommandErrors; errors["permission_denied"] != 2 || errors["not_available"] != 2 {
		t.Errorf("errors are counted as %v", errors)
	}
}

// TestSubscribeHookToken: the hook gets the client's token of the subscription and its user,
// and does not decide about clients that the rule does not let in.
func TestSubscribeHookToken(t *testing.T) {
	h := newRoomHook(t)
	s := start(t, identified, h.decides, func(c *gateway.Config) {
		users, rooms := rules.Users, "rooms"
		c.Channels = []rules.Entry{{Match: "room.**", Subscribe: &users, SubscribeHook: &rooms}}
	})
	p := s.shows("Authorization: Bearer " + alice())
	p.welcomed()
	p.says(`{"type":"subscribe","id":1,"channel":"room.1","token":"invitation"}`)
	if m := decode[standing](p, p.text()); m.Type != "subscribed" || m.Channel != "room.1" {
		t.Errorf("answered with %+v", m)
	}
	if asked := h.questions(); len(asked) != 1 || asked[0].Token != "invitation" || asked[0].User != "alice" {
		t.Errorf("the hook is asked %+v", asked)
	}
	nobody := s.shows("Authorization: Bearer " + signed(claims{}))
	nobody.welcomed()
	nobody.says(`{"type":"subscribe","id":1,"channel":"room.1"}`)
	if m := decode[standing](nobody, nobody.text()); m.Code != "permission_denied" || len(h.questions()) != 1 {
		t.Errorf("a client without a user is answered with %+v, after %d questions", m, len(h.questions()))
	}
	anonymous := s.shows()
	anonymous.welcomed()
	anonymous.says(`{"type":"subscribe","id":1,"channel":"room.1"}`)
	if m := decode[standing](anonymous, anonymous.text()); m.Code != "authentication_required" || len(h.questions()) != 1 {
		t.Errorf("a client that has not said who it is is answered with %+v, after %d questions", m, len(h.questions()))
	}
}

// TestSubscribeHookAuto: channels that a token subscribes to wait for their hook too, and what
// the client has sent with its request waits behind them.
func TestSubscribeHookAuto(t *testing.T) {
	h := newRoomHook(t)
	connects := hookThatSays(t, `{"user":"alice","grants":{"subscribe":["chat.*"],"auto":["chat.a","room.1","room.no","chat.b"]}}`)
	for name, sets := range map[string][]func(*gateway.Config){
		"decided at once":    {identified, h.decides},
		"decided by a hook":  {connects.asked, h.decides},
		"decided by several": {identified, connects.asked, h.decides},
	} {
		s := start(t, sets...)
		token := signed(claims{"sub": "alice", "fleetcast": grants(`{"subscribe":["chat.*"],"auto":["chat.a","room.1","room.no","chat.b"]}`)})
		p := s.dialRaw()
		p.sends(head + "Authorization: Bearer " + token + "\r\n\r\n" + clientFrame(ws.OpText, true, ping))
		p.welcomed()
		for _, want := range []string{"chat.a subscribed", "room.1 subscribed", "room.no permission_denied", "chat.b subscribed"} {
			m := decode[standing](p, p.text())
			if got := m.Channel + " " + m.Type; got != want && !(m.Code == "permission_denied" && strings.Contains(m.Message, "room.no") && strings.HasPrefix(want, "room.no")) {
				t.Errorf("%s: the client is told %+v, want %s", name, m, want)
			}
		}
		p.wants(pong)
	}
}

// TestSubscribeHookExpires ends what the hook has allowed for an hour.
func TestSubscribeHookExpires(t *testing.T) {
	t.Parallel() // it waits most of the time
	var ahead atomic.Int64
	s := start(t, newRoomHook(t).decides, func(c *gateway.Config) {
		c.PingInterval = 100 * time.Millisecond
		c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	p := s.connect()
	p.subscribe("room.1")
	p.subscribe("room.hour")
	ahead.Store(int64(2 * time.Hour))
	if m := decode[standing](p, p.text()); m.Type != "unsubscribed" || m.Channel != "room.hour" || m.Code != "permission_expired" {
		t.Errorf("the client is told %+v", m)
	}
	ahead.Store(0)
	p.subscribe("room.hour")
	if n := s.stats().Total.Subscriptions; n != 2 {
		t.Errorf("%d subscriptions", n)
	}
}

// TestSlowSubscribeHook has many clients wait for a hook that does not answer. All are told to
// come back, and others do not notice.
func TestSlowSubscribeHook(t *testing.T) {
	t.Parallel() // it waits most of the time
	h := newRoomHook(t)
	h.held = make(chan struct{})
	t.Cleanup(func() { close(h.held) }) // before the server is closed
	s := start(t, h.decides, func(c *gateway.Config) {
		o := c.SubscribeHooks["rooms"]
		o.Timeout, o.AtOnce, o.Queue, o.Breaker.Percent = 200*time.Millisecond, 3, 8, 0
		c.SubscribeHooks = map[string]hook.Options{"rooms": o}
		c.HandshakeTimeout = time.Second
	})
	const crowd, channels = 100, 30
	var names []string
	for i := range channels {
		names = append(names, fmt.Sprintf(`"room.%d"`, i))
	}
	other := s.connect()
	other.subscribe("news")
	var peers []*peer
	for range crowd {
		p := s.connect()
		p.says(`{"type":"subscribe","id":1,"channels":[` + strings.Join(names, ",") + `]}`)
		peers = append(peers, p)
	}
	for range 5 {
		s.publish("news", "1")
		if m := decode[message](other, other.text()); m.Channel != "news" {
			t.Errorf("the other client gets %+v", m)
		}
	}
	if got := s.stats().SubscribeHooks["rooms"]; got.InFlight > 3 || got.Waiting > 8 {
		t.Errorf("of the hook %d places are taken and %d wait", got.InFlight, got.Waiting)
	}
	for _, p := range peers {
		for range channels {
			if m := decode[standing](p, p.text()); m.Code != "not_available" {
				t.Fatalf("answered with %+v", m)
			}
		}
		p.says(ping)
		p.wants(pong)
	}
}

// TestHooksAreShared has one address fill the queues of both hooks. A client of another one
// connects and subscribes all the same.
func TestHooksAreShared(t *testing.T) {
	t.Parallel() // it waits most of the time
	h, connects := newRoomHook(t), newRoomHook(t)
	h.held, connects.held = make(chan struct{}), make(chan struct{})
	connects.answer = `{"user":""}`
	t.Cleanup(sync.OnceFunc(func() { close(h.held) })) // before the servers are closed
	s := start(t, h.decides, func(c *gateway.Config) {
		few := func(o hook.Options) hook.Options {
			o.Timeout, o.AtOnce, o.Queue, o.Breaker.Percent = patience, 1, 8, 0
			return o
		}
		c.HandshakeTimeout = patience
		c.SubscribeHooks = map[string]hook.Options{"rooms": few(c.SubscribeHooks["rooms"])}
		o := few(c.SubscribeHooks["rooms"])
		o.Name, o.URL = "connect", connects.URL
		c.ConnectHook = &o
	})
	for range 1 + 8 {
		p := s.dialRaw()
		p.sends(head + "\r\n")
		defer p.Close()
	}
	connects.waitFor(t, 1)
	s.eventually("the queue is full", func(g gateway.GatewayStats) bool { return g.ConnectHook.Waiting == 8 })
	other := s.dialFrom("127.0.0.2")
	other.sends(head + "\r\n")
	s.eventually("one client makes room", func(g gateway.GatewayStats) bool { return g.ConnectHook.Requests["hook_busy"] == 1 })
	close(connects.held)
	other.welcomed()
	for range 1 + 8 {
		p := s.connect()
		p.says(`{"type":"subscribe","id":1,"channel":"room.1"}`)
	}
	s.eventually("the queue is full", func(g gateway.GatewayStats) bool { return g.SubscribeHooks["rooms"].Waiting == 8 })
	other.says(`{"type":"subscribe","id":1,"channel":"room.2"}`)
	s.eventually("one client makes room", func(g gateway.GatewayStats) bool { return g.SubscribeHooks["rooms"].Requests["hook_busy"] == 1 })
	for range 3 { // one is asked already, one of the crowd has its turn, and then the other client
		h.held <- struct{}{}
	}
	if m := decode[standing](other, other.text()); m.Type != "subscribed" || m.Channel != "room.2" {
		t.Errorf("the other client is answered with %+v", m)
	}
}

// TestSubscribeHookReload: what a hook has allowed stays while it decides. When another one
// does, it is asked about the subscriptions that there are.
func TestSubscribeHookReload(t *testing.T) {
	t.Parallel() // it waits most of the time
	h := newRoomHook(t)
	var next gateway.Config
	rooms, clubs, anyone, nobody := "rooms", "clubs", rules.Anyone, rules.Nobody
	s := start(t, func(c *gateway.Config) { c.PingInterval = 500 * time.Millisecond }, h.decides, func(c *gateway.Config) {
		c.Channels = []rules.Entry{{Match: "room.no", Subscribe: &anyone}, {Match: "room.later", Subscribe: &anyone}, c.Channels[0], c.Channels[1]}
	}, kept(&next))
	p := s.connect()
	for _, name := range []string{"room.1", "room.lobby", "room.no", "room.later"} {
		p.subscribe(name)
	}
	reconfigure := func(entries ...rules.Entry) {
		t.Helper()
		if next.Channels = entries; s.Reconfigure(next) != nil {
			t.Fatal(s.Reconfigure(next))
		}
	}
	// wantEnds are the subscriptions that end, in any order, and those about which the hook was
	// asked since. Others go on.
	wantEnds := func(ends map[string]string, asked ...string) {
		t.Helper()
		for range ends {
			if m := decode[standing](p, p.text()); m.Type != "unsubscribed" || ends[m.Channel] != m.Code {
				t.Errorf("the client is told %+v, want one of %v", m, ends)
			}
		}
		got := map[string]bool{}
		h.waitFor(t, len(asked))
		for _, q := range h.questions() {
			got[q.Channel] = true
		}
		for _, name := range asked {
			if !got[name] || len(got) != len(asked) {
				t.Errorf("the hook is asked about %v, want %v", got, asked)
			}
		}
		for _, name := range []string{"room.lobby", "room.1"} {
			s.publish(name, "1")
			if m := decode[message](p, p.text()); m.Channel != name {
				t.Errorf("an event of %s comes as %+v", name, m)
			}
		}
		p.says(ping)
		p.wants(pong)
		h.forget()
	}
	h.forget()
	// The lobby and others are the hook's now, and were not before.
	reconfigure(rules.Entry{Match: "secret", Subscribe: &nobody}, rules.Entry{Match: "room.**", SubscribeHook: &rooms})
	wantEnds(map[string]string{"room.no": "permission_denied", "room.later": "permission_expired"}, "room.lobby", "room.no", "room.later")
	p.says(`{"type":"subscribe","id":1,"channel":"room.2","token":"invitation"}`)
	p.text()
	h.forget()
	next.SubscribeHooks = map[string]hook.Options{"rooms": next.SubscribeHooks["rooms"], "clubs": next.SubscribeHooks["rooms"]}
	reconfigure(rules.Entry{Match: "room.**", SubscribeHook: &clubs})
	// The gateway has no token any more with which it could ask.
	wantEnds(map[string]string{"room.2": "permission_expired"}, "room.lobby", "room.1")
	if got := s.stats().SubscribeHooks["clubs"].Requests["allowed"]; got != 2 {
		t.Errorf("the other hook has counted %d", got)
	}
	delete(next.SubscribeHooks, "clubs")
	if err := s.Reconfigure(next); err == nil || !strings.Contains(err.Error(), "clubs") {
		t.Errorf("a rule with a hook that there is not: %v", err)
	}
}

// TestConnectHookAuthenticate: the connect hook is asked about a token in an open connection too,
// and gets the client's address.
func TestConnectHookAuthenticate(t *testing.T) {
	h := newRoomHook(t)
	h.answer = `{"user":"alice"}`
	s := start(t, func(c *gateway.Config) {
		o := hook.DefaultOptions()
		o.Name, o.URL, o.Timeout = "connect", h.URL, patience
		c.ConnectHook = &o
	})
	p := s.connect()
	h.forget()
	p.says(`{"type":"authenticate","id":2,"token":"session-7"}`)
	if m := decode[standing](p, p.text()); m.Type != "authenticated" || m.User != "alice" {
		t.Errorf("answered with %+v", m)
	}
	if asked := h.questions(); len(asked) != 1 || asked[0].Type != "connect" || asked[0].Address != "127.0.0.1" || asked[0].Token != "session-7" {
		t.Errorf("the hook is asked %+v", asked)
	}
}

// TestSubscribeHookAuthenticate: a hook decides about the channel of the user whom a client
// becomes. It is asked about the subscription that the client has, beside the channels that the
// token brings.
func TestSubscribeHookAuthenticate(t *testing.T) {
	h := newRoomHook(t)
	s := start(t, identified, h.decides, func(c *gateway.Config) {
		anyone, rooms := rules.Anyone, "rooms"
		c.Channels = []rules.Entry{{Match: "room.{user}", SubscribeHook: &rooms, Subscribe: &anyone}, {Match: "room.**", Subscribe: &anyone}}
	})
	for user, want := range map[string]string{"alice": "", "no": "permission_denied", "later": "permission_expired"} {
		p := s.connect()
		p.subscribe("room." + user)
		p.subscribe("room.other")
		p.says(`{"type":"authenticate","id":2,"token":"` + signed(claims{"sub": user, "fleetcast": grants(`{"auto":["room.7"]}`)}) + `"}`)
		if m := decode[standing](p, p.text()); m.Type != "authenticated" || m.User != user {
			t.Fatalf("answered with %+v", m)
		}
		if want != "" {
			if m := decode[standing](p, p.text()); m.Type != "unsubscribed" || m.Channel != "room."+user || m.Code != want {
				t.Errorf("the client is told %+v, want %s", m, want)
			}
		}
		if m := decode[standing](p, p.text()); m.Type != "subscribed" || m.Channel != "room.7" {
			t.Errorf("the client is told %+v", m)
		}
		if asked := h.questions(); len(asked) != 1 || asked[0].User != user || asked[0].Channel != "room."+user {
			t.Errorf("the hook is asked %+v", asked)
		}
		h.forget()
		p.says(ping)
		p.wants(pong)
	}
}

// waitFor waits until the hook was asked n times.
func (h *roomHook) waitFor(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(patience); len(h.questions()) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the hook is asked %d times, want %d", len(h.questions()), n)
		}
	}
}

// forget forgets what was asked.
func (h *roomHook) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = nil
}

// TestSubscribeHookReloadCrowd has a reload put many subscriptions under a hook. No more than
// 57 clients of one address wait for it at a time, its share of 64; the others have their turn later. If the hook has no answer,
// the subscriptions end, and may be asked for again.
func TestSubscribeHookReloadCrowd(t *testing.T) {
	t.Parallel() // it waits most of the time
	const crowd, share = 150, 57
	for name, hangs := range map[string]bool{"answers": false, "hangs": true} {
		t.Run(name, func(t *testing.T) {
			h := newRoomHook(t)
			h.held = make(chan struct{})
			release := sync.OnceFunc(func() { close(h.held) })
			t.Cleanup(release) // before the server is closed
			var next gateway.Config
			rooms := "rooms"
			s := start(t, func(c *gateway.Config) { c.PingInterval = time.Second }, h.decides, func(c *gateway.Config) {
				o := c.SubscribeHooks["rooms"]
				o.AtOnce, o.Timeout, o.Breaker.Percent = 1000, patience, 0
				if hangs {
					o.Timeout = 200 * time.Millisecond
				}
				c.SubscribeHooks = map[string]hook.Options{"rooms": o}
			}, kept(&next))
			var peers []*peer
			for range crowd {
				p := s.connect()
				p.subscribe("room.lobby")
				peers = append(peers, p)
			}
			next.Channels = []rules.Entry{{Match: "room.**", SubscribeHook: &rooms}}
			if err := s.Reconfigure(next); err != nil {
				t.Fatal(err)
			}
			if !hangs {
				h.waitFor(t, share)
				<-time.After(time.Second) // the others are looked at meanwhile
				if most := h.most.Load(); most != share {
					t.Errorf("%d clients wait for the hook at a time", most)
				}
				release()
				h.waitFor(t, share+1)
				s.publish("room.lobby", "1")
			}
			ends := 0
			for _, p := range peers {
				m := decode[standing](p, p.text())
				if ended := m.Type == "unsubscribed" && m.Code == "permission_expired"; ended {
					ends++
				} else if hangs || m.Type != "event" {
					t.Fatalf("the client is told %+v", m)
				}
			}
			if !hangs && ends > crowd-share-1 { // others on a machine that is busy, as a hook that is slow
				t.Errorf("%d subscriptions end", ends)
			}
		})
	}
}
