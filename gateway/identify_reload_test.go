package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/golang-jwt/jwt/v5"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/hook"
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
	next.Issuers = []token.Issuer{{Secret: testrun.Secret + "another of that length"}}
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

// TestReloadAsksWhoTheyAre: clients that came when nobody had to say who they are do not stay
// for ever, without a subscription and without a word, once they have to.
func TestReloadAsksWhoTheyAre(t *testing.T) {
	t.Parallel() // it waits most of the time
	var next gateway.Config
	s := start(t, func(c *gateway.Config) { c.PingInterval, c.HandshakeTimeout = 100*time.Millisecond, 2*time.Second }, kept(&next))
	p := s.shows()
	p.welcomed()
	for pings := 0; pings < 25; { // the time in which new clients must say it is over
		if p.frame().Header.OpCode == ws.OpPing {
			pings++
			p.sends(clientFrame(ws.OpPong, true, ""))
		}
	}
	identified(&next)
	if err := s.Reconfigure(next); err != nil {
		t.Fatal(err)
	}
	if code, reason := p.closed(); code != 4401 || reason != "authentication_required" {
		t.Errorf("closed with %d %q", code, reason)
	}
}

// TestKeysOutliveRestart starts a gateway while the server of an issuer's keys is down. It
// knows the keys that another one has kept in the same folder.
func TestKeysOutliveRestart(t *testing.T) {
	key := newSigningKey(t, "k")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, key.set) }))
	defer server.Close()
	dir := t.TempDir()
	fetches := func(c *gateway.Config) { c.Issuers = []token.Issuer{{JWKS: server.URL}} }
	keeps := func(c *gateway.Config) { c.KeysDir = dir }
	start(t, fetches, keeps).shows("Authorization: Bearer " + key.token).welcomed()
	for kept := []string(nil); len(kept) == 0; time.Sleep(time.Millisecond) {
		kept, _ = filepath.Glob(filepath.Join(dir, "jwks-*.json")) // the pattern is right
	}
	server.Close()
	start(t, fetches).shows("Authorization: Bearer "+key.token).refused(http.StatusServiceUnavailable, "keys_unavailable", "")
	start(t, fetches, keeps).shows("Authorization: Bearer " + key.token).welcomed()
}

// TestFailedReloadKeepsIssuers fails to reload because a hook cannot be set up. The issuers go
// on as before: their keys are still fetched.
func TestFailedReloadKeepsIssuers(t *testing.T) {
	first, second := newSigningKey(t, "first"), newSigningKey(t, "second")
	var rotated atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if rotated.Load() {
			fmt.Fprint(w, second.set)
		} else {
			fmt.Fprint(w, first.set)
		}
	}))
	defer server.Close()
	var next gateway.Config
	s := start(t, func(c *gateway.Config) { c.Issuers = []token.Issuer{{JWKS: server.URL}} }, kept(&next))
	s.shows("Authorization: Bearer " + first.token).welcomed()
	broken := hook.DefaultOptions()
	broken.URL, broken.RootFile = "https://127.0.0.1:1/", filepath.Join(t.TempDir(), "nothing")
	next.SubscribeHooks = map[string]hook.Options{"rooms": broken}
	if err := s.Reconfigure(next); err == nil {
		t.Fatal("reloaded without the hook's certificates")
	}
	rotated.Store(true)
	s.shows("Authorization: Bearer " + second.token).welcomed()
}

// TestReloadKeepsHooks: hooks that are configured as before go on with what they have counted,
// and with what they know of their endpoints. That they fail is in the gateway's log.
func TestReloadKeepsHooks(t *testing.T) {
	var log lines
	var next gateway.Config
	rooms := "rooms"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/connect" {
			fmt.Fprint(w, `{"user":"alice"}`)
		} else {
			http.Error(w, "down", http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	config := gateway.DefaultConfig(100)
	connect, subscribe := hook.DefaultOptions(), hook.DefaultOptions()
	connect.URL, subscribe.URL = server.URL+"/connect", server.URL+"/rooms"
	config.ConnectHook, config.SubscribeHooks = &connect, map[string]hook.Options{"rooms": subscribe}
	config.Channels = []rules.Entry{{Match: "room.*", SubscribeHook: &rooms}}
	kept(&next)(&config)
	g, err := gateway.New(config, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := run(t, g)
	p := s.shows()
	p.welcomed()
	p.says(`{"type":"subscribe","channel":"room.1"}`)
	p.text()
	if err := s.Reconfigure(next); err != nil {
		t.Fatal(err)
	}
	if stats := s.stats(); stats.ConnectHook.Requests["allowed"] != 1 || stats.SubscribeHooks["rooms"].Requests["hook_failed"] != 1 {
		t.Errorf("after a reload: %+v, %+v", stats.ConnectHook, stats.SubscribeHooks)
	}
	if text := log.String(); !strings.Contains(text, "a hook did not answer") || !strings.Contains(text, "hook=rooms") {
		t.Errorf("logged: %s", text)
	}
}

// signingKey is a key of an issuer, as a set that its server has, with a token of it.
type signingKey struct{ set, token string }

func newSigningKey(t *testing.T, id string) signingKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	made := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": "alice", "exp": time.Now().Add(time.Hour).Unix()})
	made.Header["kid"] = id
	text, err := made.SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return signingKey{fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":%q,"x":%q,"y":%q}]}`, id, encode(point[1:33]), encode(point[33:])), text}
}
