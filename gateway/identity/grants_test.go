package identity_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"fleetcast/gateway/identity"
)

// list is a JSON array of n different texts.
func list(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%q", fmt.Sprint("c", i)))
	}
	return "[" + strings.Join(all, ",") + "]"
}

func TestParseGrants(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"nothing", `{}`, `{}`},
		{"null", ` null `, `{}`},
		{"all", `{"auto":["news"],"history":["h.*"],"presence":["p"],"publish":["a"],"subscribe":["chat.*","x"]}`,
			`{"subscribe":["chat.*","x"],"publish":["a"],"presence":["p"],"history":["h.*"],"auto":["news"]}`},
		{"unknown members", `{"shout":["x"],"subscribe":["a"],"more":{"subscribe":1}}`, `{"subscribe":["a"]}`},
		{"empty and null lists", `{"subscribe":[],"publish":null}`, `{}`},
		{"escapes", `{"subscribe":["caf\u00e9"]}`, `{"subscribe":["café"]}`},
		{"as many patterns as may be", `{"subscribe":` + list(64) + `}`, `{"subscribe":` + list(64) + `}`},
		{"as many channels as may be", `{"auto":` + list(32) + `}`, `{"auto":` + list(32) + `}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, err := identity.ParseGrants([]byte(test.text))
			if err != nil || g.Text() != test.want {
				t.Fatalf("%v, %v; want %s", g, err, test.want)
			}
			again, err := identity.ParseGrants([]byte(g.Text()))
			if err != nil || !again.Equal(g) {
				t.Errorf("read again: %v, %v", again, err)
			}
		})
	}
}

func TestParseGrantsRefuses(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"no object", `["a"]`, "grants must be an object"},
		{"a text", `"chat.*"`, "grants must be an object"},
		{"nothing", ``, "grants must be an object"},
		{"cut off", `{"subscribe":["a"]`, "grants must be an object"},
		{"not UTF-8", "{\"subscribe\":[\"a\xff\"]}", "grants must be an object"},
		{"a text for a list", `{"subscribe":"chat.*"}`, `"subscribe" must be a list of texts`},
		{"a number in a list", `{"publish":["a",1]}`, `"publish" must be a list of texts`},
		{"half a surrogate", `{"publish":["\ud800"]}`, `"publish" must be a list of texts`},
		{"twice", `{"subscribe":["a"],"subscribe":["b"]}`, `"subscribe" is there twice`},
		{"twice, once spelled with an escape", `{"subscribe":["a"],"subscrib\u0065":["b"]}`, `"subscribe" is there twice`},
		{"null and again", `{"subscribe":null,"subscribe":["b"]}`, `"subscribe" is there twice`},
		{"too many patterns", `{"history":` + list(65) + `}`, `"history" has more than 64 entries`},
		{"too many channels", `{"auto":` + list(33) + `}`, `"auto" has more than 32 entries`},
		{"empty pattern", `{"subscribe":[""]}`, `"subscribe": `},
		{"a pattern for no channel", `{"subscribe":["a b"]}`, `"subscribe": `},
		{"no channel name", `{"auto":["a\nb"]}`, `"auto": `},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, err := identity.ParseGrants([]byte(test.text))
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("%v, %v; want the error %s", g, err, test.want)
			}
		})
	}
}

func TestGrantsDecide(t *testing.T) {
	g, err := identity.ParseGrants([]byte(`{"subscribe":["chat.*","inbox.{user}"],"publish":["chat.lobby","from.{user}.**"],"auto":["news"]}`))
	if err != nil {
		t.Fatal(err)
	}
	alice := &identity.Identity{User: "alice", Grants: g}
	for _, test := range []struct {
		channel            string
		subscribe, publish bool
	}{
		{"chat.lobby", true, true}, {"chat.other", true, false}, {"news", true, false}, {"other", false, false},
		{"chat.a.b", false, false}, {"inbox.alice", true, false}, {"inbox.bob", false, false}, {"inbox.", false, false},
		{"from.alice.a.b", false, true}, {"from.bob.a", false, false},
	} {
		channel := []byte(test.channel)
		if got := alice.MaySubscribe(channel); got != test.subscribe {
			t.Errorf("subscribe to %s: %t", channel, got)
		}
		if got := alice.MayPublish(channel); got != test.publish {
			t.Errorf("publish to %s: %t", channel, got)
		}
		if identity.Anonymous().MaySubscribe(channel) || identity.Anonymous().MayPublish(channel) {
			t.Errorf("an anonymous client is granted %s", channel)
		}
	}
	if !(&identity.Identity{Expires: 10}).Over(10) || (&identity.Identity{Expires: 11}).Over(10) || identity.Anonymous().Over(1<<40) {
		t.Error("identities end at other times than they should")
	}
}

// TestAutoChannels: {user} in the channels of auto is the user, and nobody without one has them.
func TestAutoChannels(t *testing.T) {
	g, err := identity.ParseGrants([]byte(`{"auto":["news","inbox.{user}","{user}","a.{user}.{user}.b","a*"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string][]string{
		"":            {"news", "a*"},
		"alice":       {"news", "inbox.alice", "alice", "a.alice.alice.b", "a*"},
		"a.b":         {"news", "inbox.a.b", "a.b", "a.a.b.a.b.b", "a*"},
		"{user}":      {"news", "inbox.{user}", "{user}", "a.{user}.{user}.b", "a*"},
		"Jürgen Groß": {"news", "inbox.Jürgen Groß", "Jürgen Groß", "a.Jürgen Groß.Jürgen Groß.b", "a*"},
		"*":           {"news", "inbox.*", "*", "a.*.*.b", "a*"},
	} {
		who := &identity.Identity{User: user, Grants: g}
		if got := slices.Collect(who.AutoChannels()); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", user, got, want)
		}
		for _, channel := range want {
			if !who.MaySubscribe([]byte(channel)) {
				t.Errorf("%q may not subscribe to %q", user, channel)
			}
		}
		for _, channel := range []string{"inbox.{user}", "inbox.alice", "inbox.alicex", "inbox.", "inbox", "a.alice.alice.b", "a.alice.bob.b", "ab", "{user}", "a..b"} {
			if got := who.MaySubscribe([]byte(channel)); got != slices.Contains(want, channel) {
				t.Errorf("%q: subscribe to %q: %t", user, channel, got)
			}
		}
		if n := testing.AllocsPerRun(10, func() { who.MaySubscribe([]byte("a.alice.alice.c")) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
	for range (&identity.Identity{User: "alice", Grants: g}).AutoChannels() {
		break
	}
}

func FuzzParseGrants(f *testing.F) {
	f.Add([]byte(`{"subscribe":["chat.*"],"publish":["chat.{user}"],"auto":["news"]}`))
	f.Add([]byte(`{"subscribe":null,"x":[{}],"subscrib\u0065":[""]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		g, err := identity.ParseGrants(text)
		if err != nil {
			return
		}
		again, err := identity.ParseGrants([]byte(g.Text()))
		if err != nil || !again.Equal(g) || again.Text() != g.Text() {
			t.Errorf("%q is read as %s, and that as %v, %v", text, g.Text(), again, err)
		}
	})
}
