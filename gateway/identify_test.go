package gateway_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/hook"
	"fleetcast/gateway/token"
)

// secret signs the tokens of these tests.
const secret = testrun.Secret + "0123456789abcdef"

// claims are those of a token. Its exp is an hour from now, unless it has one.
type claims map[string]any

// forever is the exp of a token without one.
const forever = "forever"

// signed is a token with claims, signed by HS256.
func signed(c claims) string {
	all := claims{"exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range c {
		if all[name] = value; value == forever {
			delete(all, name)
		}
	}
	body, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(body)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

// grants are the claim that says what a client may do.
func grants(text string) json.RawMessage { return json.RawMessage(text) }

// identified has clients say who they are, by tokens that signed makes.
func identified(c *gateway.Config) { c.Issuers = []token.Issuer{{Secret: secret}} }

// alice has a token of the user alice, who may subscribe to chat.*.
func alice() string {
	return signed(claims{"sub": "alice", "fleetcast": grants(`{"subscribe":["chat.*"]}`)})
}

// shows sends a request to connect with further header lines.
func (s *server) shows(lines ...string) *peer {
	s.Helper()
	p := s.dialRaw()
	p.sends(head + strings.Join(append(lines, ""), "\r\n") + "\r\n")
	return p
}

// closed reads the end of a connection: its close code and reason.
func (p *peer) closed() (ws.StatusCode, string) {
	p.Helper()
	for {
		if f := p.frame(); f.Header.OpCode == ws.OpClose {
			return ws.ParseCloseFrameData(f.Payload)
		}
	}
}

// welcomed reads the answer to an accepted request, and the welcome.
func (p *peer) welcomed() standing {
	p.Helper()
	p.upgraded()
	return decode[standing](p, p.text())
}

// standing is what a client is told about who it is.
type standing struct {
	Type    string `json:"type"`
	ID      int    `json:"id"`
	Client  string `json:"client"`
	User    string `json:"user"`
	Expires int    `json:"expires_in_ms"`
	Refresh int    `json:"refresh_in_ms"`
	Ticket  string `json:"ticket"`
	Within  int    `json:"authenticate_within_ms"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Channel string `json:"channel"`
}

// TestTokenPlaces has clients show a token wherever it may be.
func TestTokenPlaces(t *testing.T) {
	s := start(t, identified, func(c *gateway.Config) { c.TokenCookie = "session" })
	for name, lines := range map[string][]string{
		"authorization":             {"Authorization: Bearer " + alice()},
		"lower case":                {"authorization: bearer   " + alice()},
		"behind a tab":              {"Authorization: Bearer\t" + alice()},
		"beside a proxy's own":      {"Authorization: Basic dTpw", "Sec-WebSocket-Protocol: fleetcast.v1, bearer." + alice()},
		"subprotocol":               {"Sec-WebSocket-Protocol: fleetcast.v1, bearer." + alice()},
		"subprotocol, first":        {"Sec-WebSocket-Protocol: bearer." + alice() + ",fleetcast.v1"},
		"subprotocol, in two lines": {"Sec-WebSocket-Protocol: bearer." + alice(), "Sec-WebSocket-Protocol: fleetcast.v1"},
		"cookie":                    {"Origin: http://localhost", "Cookie: a=b; session=" + alice() + "; c=d"},
	} {
		p := s.shows(lines...)
		answer := p.responseHead()
		if !strings.HasPrefix(answer, "HTTP/1.1 101 ") || strings.Contains(answer, "bearer") {
			t.Errorf("%s: answered with %q", name, answer)
			continue
		}
		w := decode[standing](p, p.text())
		if w.Type != "welcome" || w.User != "alice" || w.Expires < 3_500_000 || w.Expires > 3_600_000 || w.Within != 0 {
			t.Errorf("%s: the welcome is %+v", name, w)
		}
		if w.Refresh < w.Expires/2 || w.Refresh > w.Expires*9/10+1 {
			t.Errorf("%s: to be refreshed in %d of %d ms", name, w.Refresh, w.Expires)
		}
	}
	if n := s.stats().Total.AddressesUnknown; n != 0 {
		t.Errorf("%d clients count as those of proxies that did not name them", n)
	}
}

// TestAmbiguousCredentials: which token counts must be clear.
func TestAmbiguousCredentials(t *testing.T) {
	s := start(t, identified, func(c *gateway.Config) { c.TokenCookie = "session" })
	for name, test := range map[string]struct {
		status int
		says   string
		lines  []string
	}{
		"two":                      {400, "more than one token", []string{"Authorization: Bearer " + alice(), "Sec-WebSocket-Protocol: fleetcast.v1, bearer.x"}},
		"two fields":               {400, "more than one token", []string{"Authorization: Bearer a", "Authorization: Bearer a"}},
		"two subprotocols":         {400, "more than one token", []string{"Sec-WebSocket-Protocol: fleetcast.v1, bearer.a, bearer.b"}},
		"two cookies":              {400, "more than one token", []string{"Origin: http://localhost", "Cookie: session=a; session=b"}},
		"no token behind bearer":   {400, "no token behind", []string{"Authorization: Bearer "}},
		"something behind it":      {400, "behind the token", []string{"Authorization: Bearer a b"}},
		"bearer alone":             {400, "offer the protocol too", []string{"Sec-WebSocket-Protocol: bearer." + alice()}},
		"a cookie without origin":  {403, "needs an Origin", []string{"Cookie: session=" + alice()}},
		"a cookie of another page": {403, "Origin", []string{"Origin: https://evil.test", "Cookie: session=" + alice()}},
	} {
		p := s.shows(test.lines...)
		p.refused(test.status, test.says, name)
	}
	p := s.dialRaw() // a query is no place for a token: this one has none
	p.sends(strings.Replace(head, "/ws", "/ws?token="+alice(), 1) + "\r\n")
	if w := p.welcomed(); w.User != "" || w.Within == 0 {
		t.Errorf("a token in the query: %+v", w)
	}
}

// TestRefusedTokens are refused where the client's developer can see why.
func TestRefusedTokens(t *testing.T) {
	s := start(t, identified)
	for reason, token := range map[string]string{
		"token_expired":        signed(claims{"exp": time.Now().Add(-time.Hour).Unix()}),
		"token_invalid":        alice()[:len(alice())-4] + "AAAA",
		"token_malformed":      "abc",
		"token_not_yet_valid":  signed(claims{"nbf": time.Now().Add(time.Hour).Unix()}),
		"token_no_expiry":      signed(claims{"exp": forever}),
		"token_too_large":      strings.Repeat("a", 4097),
		"token_unknown_issuer": "",
	} {
		if token == "" {
			continue
		}
		before := s.stats()
		p := s.shows("Authorization: Bearer " + token)
		answer := p.responseHead()
		if !strings.HasPrefix(answer, "HTTP/1.1 401 ") || !strings.Contains(strings.ToLower(answer), "www-authenticate: bearer error=\"invalid_token\", error_description=\""+reason) {
			t.Errorf("%s: answered with %q", reason, answer)
		}
		p = s.shows("Sec-WebSocket-Protocol: fleetcast.v1, bearer." + token)
		p.upgraded()
		if code, text := p.closed(); code != 4401 || text != reason {
			t.Errorf("%s: closed with %d %q", reason, code, text)
		}
		after := s.stats()
		refused := after.Total.HandshakeFailures["token_refused"] - before.Total.HandshakeFailures["token_refused"]
		if n := after.Tokens.Refused[reason] - before.Tokens.Refused[reason]; n != 2 || refused != 2 {
			t.Errorf("%s is counted %d times, and %d handshakes", reason, n, refused)
		}
	}
	if n := s.stats().Total.Clients; n != 0 {
		t.Errorf("%d clients", n)
	}
}

// TestAuthenticateByMessage is for clients that show their token in a message.
func TestAuthenticateByMessage(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, identified, func(c *gateway.Config) { c.HandshakeTimeout = 2 * time.Second })
	p, late := s.shows(), s.shows()
	if w := p.welcomed(); w.Within != 2000 || w.User != "" {
		t.Errorf("the welcome is %+v", w)
	}
	p.says(ping)
	p.wants(pong)
	for _, command := range []string{`{"type":"subscribe","id":7,"channel":"chat.a"}`, `{"type":"publish","id":7,"channel":"chat.a","data":1}`, `{"type":"history","id":7,"channel":"chat.a"}`} {
		p.says(command)
		if e := decode[standing](p, p.text()); e.ID != 7 || e.Code != "authentication_required" {
			t.Errorf("%s is answered with %+v", command, e)
		}
	}
	p.says(fmt.Sprintf(`{"type":"authenticate","id":8,"token":%q}`, alice()))
	if a := decode[standing](p, p.text()); a.Type != "authenticated" || a.ID != 8 || a.User != "alice" || a.Expires == 0 || a.Refresh == 0 || a.Within != 0 {
		t.Errorf("answered with %+v", a)
	}
	p.subscribe("chat.a")
	p.says(`{"type":"subscribe","id":9,"channel":"news"}`)
	if e := decode[standing](p, p.text()); e.ID != 9 || e.Code != "permission_denied" {
		t.Errorf("a channel that is not granted: %+v", e)
	}
	late.welcomed()
	if code, reason := late.closed(); code != 4401 || reason != "authentication_required" {
		t.Errorf("closed with %d %q", code, reason)
	}
	p.says(ping)
	p.wants(pong)
	wrong := s.shows()
	wrong.welcomed()
	wrong.says(`{"type":"authenticate","id":1,"token":"x"}`)
	if e := decode[standing](wrong, wrong.text()); e.Type != "error" || e.Code != "token_malformed" {
		t.Errorf("answered with %+v", e)
	}
	if code, reason := wrong.closed(); code != 4401 || reason != "token_malformed" {
		t.Errorf("closed with %d %q", code, reason)
	}
	s.eventually("two ends", func(g gateway.GatewayStats) bool { return g.Total.Disconnects["unauthenticated"] == 2 })
}

// TestRefresh shows tokens again on one connection: with more, with less, of somebody else.
func TestRefresh(t *testing.T) {
	s := start(t, identified)
	p := s.shows("Authorization: Bearer " + signed(claims{"sub": "alice", "fleetcast": grants(`{"subscribe":["chat.*","news"],"auto":["inbox.alice"]}`)}))
	p.welcomed()
	if m := decode[standing](p, p.text()); m.Type != "subscribed" || m.Channel != "inbox.alice" || m.ID != 0 {
		t.Errorf("the client is subscribed by %+v", m)
	}
	p.subscribe("chat.a")
	p.subscribe("news")
	renew := func(c claims) standing {
		p.says(fmt.Sprintf(`{"type":"authenticate","id":1,"token":%q}`, signed(c)))
		return decode[standing](p, p.text())
	}
	if a := renew(claims{"sub": "bob"}); a.Type != "error" || a.Code != "permission_denied" {
		t.Errorf("another user is answered with %+v", a)
	}
	if a := renew(claims{"sub": "alice", "exp": 1}); a.Type != "error" || a.Code != "token_expired" {
		t.Errorf("an old token is answered with %+v", a)
	}
	if a := renew(claims{"sub": "alice", "fleetcast": grants(`{"subscribe":["chat.*"],"auto":["chat.b"]}`)}); a.Type != "authenticated" {
		t.Errorf("a token that grants less is answered with %+v", a)
	}
	ended := map[string]string{}
	for range 2 {
		m := decode[standing](p, p.text())
		ended[m.Channel] = m.Type + " " + m.Code
	}
	if len(ended) != 2 || ended["news"] != "unsubscribed permission_denied" || ended["inbox.alice"] != "unsubscribed permission_denied" {
		t.Errorf("ended are %v", ended)
	}
	if m := decode[standing](p, p.text()); m.Type != "subscribed" || m.Channel != "chat.b" {
		t.Errorf("the client is subscribed by %+v", m)
	}
	s.publish("news", "1")
	s.publish("chat.a", "2")
	if m := decode[message](p, p.text()); m.Channel != "chat.a" {
		t.Errorf("an event of %s comes", m.Channel)
	}
	if n := s.stats().Total.Subscriptions; n != 2 {
		t.Errorf("%d subscriptions", n)
	}
}

// TestExpiry ends a client whose token has ended, by a clock that the test sets.
func TestExpiry(t *testing.T) {
	t.Parallel() // it waits most of the time
	var ahead atomic.Int64
	s := start(t, identified, func(c *gateway.Config) {
		c.PingInterval = 100 * time.Millisecond
		c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	short := signed(claims{"sub": "alice", "exp": time.Now().Add(10 * time.Minute).Unix()})
	p, renewed := s.shows("Authorization: Bearer "+short), s.shows("Authorization: Bearer "+short)
	p.welcomed()
	renewed.welcomed()
	renewed.says(fmt.Sprintf(`{"type":"authenticate","token":%q}`, signed(claims{"sub": "alice", "exp": time.Now().Add(2 * time.Hour).Unix()})))
	renewed.text()
	ahead.Store(int64(time.Hour))
	if code, reason := p.closed(); code != 4401 || reason != "token_expired" {
		t.Errorf("closed with %d %q", code, reason)
	}
	s.eventually("the end of one", func(g gateway.GatewayStats) bool {
		return g.Total.Disconnects["token_expired"] == 1 && g.Total.Clients == 1
	})
	p = s.shows("Authorization: Bearer " + short)
	p.refused(http.StatusUnauthorized, "token_expired", "")
}

// TestUserBounds: so many connections of one user, whatever the address.
func TestUserBounds(t *testing.T) {
	s := start(t, identified, func(c *gateway.Config) { c.UserClients = 2 })
	first := s.shows("Authorization: Bearer " + alice())
	first.welcomed()
	s.shows("Authorization: Bearer " + alice()).welcomed()
	s.shows("Authorization: Bearer "+alice()).refused(http.StatusTooManyRequests, "as many connections", "")
	p := s.shows("Sec-WebSocket-Protocol: fleetcast.v1, bearer." + alice())
	p.upgraded()
	if code, reason := p.closed(); code != 1013 || reason != "user_full" {
		t.Errorf("closed with %d %q", code, reason)
	}
	s.shows("Authorization: Bearer " + signed(claims{"sub": "bob"})).welcomed()
	first.Close()
	s.eventually("room", func(g gateway.GatewayStats) bool { return g.Total.Clients == 2 })
	s.shows("Authorization: Bearer " + alice()).welcomed()
}

// TestResumeTicket has a client come back with the ticket of its welcome.
func TestResumeTicket(t *testing.T) {
	h := hookThatSays(t, `{"user":"alice","grants":{"subscribe":["chat.*"]}}`)
	s := start(t, h.asked)
	w := s.shows("Authorization: Bearer anything").welcomed()
	if w.User != "alice" || w.Ticket == "" || h.requests.Load() != 1 {
		t.Fatalf("the welcome is %+v after %d questions", w, h.requests.Load())
	}
	p := s.shows("Sec-WebSocket-Protocol: fleetcast.v1, bearer." + w.Ticket)
	if again := p.welcomed(); again.User != "alice" || h.requests.Load() != 1 {
		t.Errorf("with a ticket the welcome is %+v after %d questions", again, h.requests.Load())
	}
	p.subscribe("chat.a")
	s.shows("Authorization: Bearer "+w.Ticket[:len(w.Ticket)-2]+"AA").refused(http.StatusUnauthorized, "ticket_invalid", "")
}

// TestTicketOutOfUse: a ticket does not outlive the issuer or the hook behind it.
func TestTicketOutOfUse(t *testing.T) {
	h := hookThatSays(t, `{"user":"alice"}`)
	var config gateway.Config
	s := start(t, h.asked, func(c *gateway.Config) {
		c.Issuers = []token.Issuer{{Issuer: "a", Secret: secret}, {Issuer: "b", Secret: secret}}
		config = *c
	})
	ticketOf := func(lines ...string) string {
		w := s.shows(lines...).welcomed()
		if w.User != "alice" || w.Ticket == "" {
			t.Fatalf("the welcome is %+v", w)
		}
		return "Authorization: Bearer " + w.Ticket
	}
	ofA, ofB := ticketOf("Authorization: Bearer "+signed(claims{"iss": "a"})), ticketOf("Authorization: Bearer "+signed(claims{"iss": "b"}))
	ofHook := ticketOf()
	again := ticketOf(ofA) // a ticket for a ticket
	for name, step := range map[string]struct {
		change      func(*gateway.Config)
		good, ended []string
	}{
		"nothing":     {func(*gateway.Config) {}, []string{ofA, ofB, ofHook, again}, nil},
		"no issuer a": {func(c *gateway.Config) { c.Issuers = c.Issuers[1:] }, []string{ofB, ofHook}, []string{ofA, again}},
		"no issuer":   {func(c *gateway.Config) { c.Issuers = nil }, []string{ofHook}, []string{ofA, ofB, again}},
		"no hook":     {func(c *gateway.Config) { c.ConnectHook = nil }, nil, []string{ofA, ofB, ofHook, again}},
	} {
		next := config
		step.change(&next)
		if err := s.Reconfigure(next); err != nil {
			t.Fatal(err)
		}
		asked := h.requests.Load()
		for _, line := range step.good {
			if w := s.shows(line).welcomed(); w.User != "alice" || h.requests.Load() != asked {
				t.Errorf("%s: the welcome is %+v", name, w)
			}
		}
		for _, line := range step.ended {
			s.shows(line).refused(http.StatusUnauthorized, "ticket_invalid", "")
		}
	}
}

// TestTicketsWhenAKeyHasLeaked does what docs/configuration.md says of that: a new key of the
// issuer ends its tokens, and new keys for tickets end the tickets. Connections go on.
func TestTicketsWhenAKeyHasLeaked(t *testing.T) {
	h := hookThatSays(t, `{"user":"alice"}`)
	var next gateway.Config
	s := start(t, h.asked, func(c *gateway.Config) {
		c.Issuers = []token.Issuer{{Issuer: "a", Secret: secret}}
		next = *c
	})
	reload := func(change func()) {
		t.Helper()
		change()
		if err := s.Reconfigure(next); err != nil {
			t.Fatal(err)
		}
	}
	forged := "Authorization: Bearer " + signed(claims{"iss": "a"})
	ticket := ""
	var peers []*peer
	for range 3 { // the last one by the cache
		p := s.shows(forged)
		ticket = "Authorization: Bearer " + p.welcomed().Ticket
		peers = append(peers, p)
	}
	reload(func() { next.Issuers = []token.Issuer{{Issuer: "a", Secret: "another " + secret}} })
	s.shows(forged).refused(http.StatusUnauthorized, "token_invalid", "")
	s.shows(ticket).welcomed()

	first, second := bytes.Repeat([]byte("1"), 32), bytes.Repeat([]byte("2"), 32)
	reload(func() { next.TicketKeys = [][]byte{first} })
	s.shows(ticket).refused(http.StatusUnauthorized, "ticket_invalid", "")
	ticket = "Authorization: Bearer " + s.shows().welcomed().Ticket
	reload(func() { next.TicketKeys = [][]byte{second, first} })
	s.shows(ticket).welcomed()
	reload(func() { next.TicketKeys = [][]byte{second} })
	s.shows(ticket).refused(http.StatusUnauthorized, "ticket_invalid", "")
	for _, p := range peers {
		p.says(ping)
		p.wants(pong)
	}
}

// connectHook is a server that the gateway asks who clients are.
type connectHook struct {
	*httptest.Server
	requests atomic.Int64
}

// hookThatSays answers every question alike.
func hookThatSays(t *testing.T, answer string) *connectHook {
	h := new(connectHook)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h.requests.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(h.Close)
	return h
}

// asked has a gateway ask h.
func (h *connectHook) asked(c *gateway.Config) {
	o := hook.DefaultOptions()
	o.Name, o.URL = "connect", h.URL
	c.ConnectHook = &o
}

// TestConnectHookRefuses where the client can see why, as for a token.
func TestConnectHookRefuses(t *testing.T) {
	s := start(t, hookThatSays(t, `{"refuse":{"reason":"banned","message":"go away"}}`).asked)
	s.shows().refused(http.StatusUnauthorized, "banned: go away", "")
	p := s.shows("Sec-WebSocket-Protocol: fleetcast.v1, bearer.x")
	p.upgraded()
	if code, reason := p.closed(); code != 4401 || reason != "banned" {
		t.Errorf("closed with %d %q", code, reason)
	}
	down := hookThatSays(t, "nonsense")
	s = start(t, down.asked)
	p = s.shows()
	if answer := p.responseHead(); !strings.HasPrefix(answer, "HTTP/1.1 503 ") || !strings.Contains(answer, "Retry-After: ") {
		t.Errorf("a hook that does not answer: %q", answer)
	}
}

// TestUsers asks the API about users, and sends them away.
func TestUsers(t *testing.T) {
	s := start(t, identified)
	o := s.operator()
	const path = "/api/users/auth0%7C42"
	of := func() *peer {
		p := s.shows("Authorization: Bearer " + signed(claims{"sub": "auth0|42", "fleetcast": grants(`{"subscribe":["chat.*"]}`)}))
		p.welcomed()
		return p
	}
	first, second := of(), of()
	other := s.shows("Authorization: Bearer " + alice())
	other.welcomed()
	first.subscribe("chat.a")
	type user struct {
		User        string
		Total       int
		Connections []struct {
			Client        string
			Subscriptions int
			Expires       time.Time `json:"expires_at"`
		}
		Blocked      *time.Time `json:"blocked_until"`
		Disconnected int
		Unsubscribed int
	}
	got := answered[user](o, o.get(path), 200)
	if got.User != "auth0|42" || got.Total != 2 || len(got.Connections) != 2 || got.Blocked != nil || got.Connections[0].Expires.IsZero() {
		t.Errorf("the user is %+v", got)
	}
	if d := answered[clientDetail](o, o.get("/api/clients/"+got.Connections[0].Client), 200); d.User != "auth0|42" {
		t.Errorf("the client is %+v", d)
	}
	s.shows("Authorization: Bearer " + signed(claims{"sub": "late", "exp": time.Now().Add(time.Hour).UnixMilli()})).welcomed()
	if got := answered[user](o, o.get("/api/users/late"), 200); got.Total != 1 || got.Connections[0].Expires.Year() != 9999 {
		t.Errorf("a user whose token ends in milliseconds is %+v", got)
	}
	if got := answered[user](o, o.get("/api/users/nobody"), 200); got.Total != 0 || got.Connections == nil {
		t.Errorf("a user who is not here is %+v", got)
	}
	if got := answered[user](o, o.post(path+"/unsubscribe", `{"channel":"chat.a"}`), 200); got.Unsubscribed != 1 {
		t.Errorf("answered with %+v", got)
	}
	if m := decode[standing](first, first.text()); m.Type != "unsubscribed" || m.Channel != "chat.a" || m.Code != "withdrawn" {
		t.Errorf("the client is told %+v", m)
	}
	if got := answered[user](o, o.post(path+"/disconnect", `{"reason":"spam","block_ms":600000}`), 200); got.Disconnected != 2 || got.Blocked == nil {
		t.Errorf("answered with %+v", got)
	}
	for _, p := range []*peer{first, second} {
		if code, reason := p.closed(); code != 4403 || reason != "spam" {
			t.Errorf("closed with %d %q", code, reason)
		}
	}
	s.shows("Authorization: Bearer "+signed(claims{"sub": "auth0|42"})).refused(http.StatusForbidden, "blocked until", "")
	if got := answered[user](o, o.post(path+"/disconnect", `{"block_ms":0}`), 200); got.Disconnected != 0 || got.Blocked != nil {
		t.Errorf("answered with %+v", got)
	}
	of()
	other.says(ping)
	other.wants(pong)
	for body, message := range map[string]string{`{"block_ms":-1}`: "block_ms", `{"block_ms":2592000001}`: "block_ms", `{"reason":1}`: "reason", `{"x":1}`: "no key"} {
		o.refused(o.post(path+"/disconnect", body), 400, "bad_request", message)
	}
	o.refused(o.post(path+"/unsubscribe", `{}`), 400, "bad_request", "channel is missing")
	o.refused(o.post(path+"/unsubscribe", `{"channel":"a b"}`), 400, "bad_channel", "space")
	o.refused(o.get("/api/users/"+strings.Repeat("x", 256)), 400, "bad_request", "255 bytes")
	o.refused(o.get("/api/users/%FF"), 400, "bad_request", "UTF-8")
	o.refused(o.post("/api/users/a%00b/disconnect", ""), 400, "bad_request", "control characters")
}

// TestSubscriptionToken lets a client subscribe to what its own token does not grant, until
// the token for it ends.
func TestSubscriptionToken(t *testing.T) {
	t.Parallel() // it waits most of the time
	var ahead atomic.Int64
	s := start(t, identified, func(c *gateway.Config) {
		c.PingInterval = 100 * time.Millisecond
		c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	p := s.shows("Authorization: Bearer " + signed(claims{"sub": "alice", "exp": time.Now().Add(10 * time.Hour).Unix(), "fleetcast": grants(`{"subscribe":["chat.*"]}`)}))
	p.welcomed()
	subscribe := func(channel, token string) standing {
		p.says(fmt.Sprintf(`{"type":"subscribe","id":1,"channel":%q,"token":%q}`, channel, token))
		return decode[standing](p, p.text())
	}
	for name, test := range map[string]struct{ channel, token, code string }{
		"for a connection": {"orders.17", alice(), "token_wrong_use"},
		"another channel":  {"orders.18", signed(claims{"sub": "alice", "channel": "orders.17"}), "token_wrong_use"},
		"another user":     {"orders.17", signed(claims{"sub": "bob", "channel": "orders.17"}), "token_wrong_use"},
		"expired":          {"orders.17", signed(claims{"sub": "alice", "channel": "orders.17", "exp": 1}), "token_expired"},
		"bad channel":      {"a b", signed(claims{"sub": "alice", "channel": "**"}), "bad_channel"},
	} {
		if e := subscribe(test.channel, test.token); e.Type != "error" || e.Code != test.code {
			t.Errorf("%s: answered with %+v", name, e)
		}
	}
	if m := subscribe("orders.17", signed(claims{"sub": "alice", "channel": "orders.17"})); m.Type != "subscribed" {
		t.Errorf("answered with %+v", m)
	}
	p.subscribe("chat.a")
	ahead.Store(int64(2 * time.Hour))
	if m := decode[standing](p, p.text()); m.Type != "unsubscribed" || m.Channel != "orders.17" || m.Code != "token_expired" {
		t.Errorf("the client is told %+v", m)
	}
	if n := s.stats().Total.Subscriptions; n != 1 {
		t.Errorf("%d subscriptions", n)
	}
}
