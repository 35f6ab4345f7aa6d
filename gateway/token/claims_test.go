package token_test

import (
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"fleetcast/gateway/identity"
	"fleetcast/gateway/token"
)

// TestIssuerIsExact chooses an issuer by the exact iss, and tries no other's keys.
func TestIssuerIsExact(t *testing.T) {
	c := newClock()
	other := strings.Repeat("z", 40)
	named := []token.Issuer{{Issuer: "https://a.example/", Secret: secret}, {Issuer: "https://b.example", Secret: other}}
	v := newVerifier(t, c, token.Options{Issuers: named})
	withNameless := newVerifier(t, c, token.Options{Issuers: append(named, token.Issuer{Secret: strings.Repeat("n", 40)})})
	for _, test := range []struct {
		name     string
		iss      any
		key      string
		want     string
		nameless string // with an issuer that has no name
	}{
		{"a's", "https://a.example/", secret, "accepted", "accepted"},
		{"b's", "https://b.example", other, "accepted", "accepted"},
		{"b's key, a's name", "https://a.example/", other, token.Invalid, token.Invalid},
		{"without the slash", "https://a.example", secret, token.UnknownIssuer, token.Invalid},
		{"with a slash", "https://b.example/", other, token.UnknownIssuer, token.Invalid},
		{"in capitals", "https://A.example/", secret, token.UnknownIssuer, token.Invalid},
		{"an empty name", "", secret, token.UnknownIssuer, token.Invalid},
		{"no name", nil, secret, token.UnknownIssuer, token.Invalid},
		{"the nameless one's, no name", nil, strings.Repeat("n", 40), token.UnknownIssuer, "accepted"},
		{"the nameless one's, any name", "x", strings.Repeat("n", 40), token.UnknownIssuer, "accepted"},
		{"the nameless one's, a's name", "https://a.example/", strings.Repeat("n", 40), token.Invalid, token.Invalid},
		{"a list", []string{"https://b.example"}, other, token.Malformed, token.Malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := sign(t, "HS256", "", []byte(test.key), claims(c, map[string]any{"iss": test.iss}))
			want(t, v, text, test.want)
			want(t, withNameless, text, test.nameless)
		})
	}
	// A name that does not fit into the message is cut between two characters.
	for before := range 4 {
		long := sign(t, "HS256", "", []byte(secret), claims(c, map[string]any{"iss": strings.Repeat("a", before) + strings.Repeat("漢", 200)}))
		if got := verify(t, v, long); got.Refusal == nil || !utf8.ValidString(got.Refusal.Message) || len(got.Refusal.Message) > 300 {
			t.Errorf("refused with %+q", got.Refusal)
		}
	}
	slash := verify(t, v, sign(t, "HS256", "", []byte(secret), claims(c, map[string]any{"iss": "https://a.example"})))
	if slash.Refusal == nil || !strings.Contains(slash.Refusal.Message, "slash") {
		t.Errorf("a forgotten slash is not named: %v", slash.Refusal)
	}
}

// TestUsersAndGrants finds both in the claims that are named for them.
func TestUsersAndGrants(t *testing.T) {
	grants := map[string]any{"subscribe": []string{"chat.*"}, "auto": []string{"news"}}
	const text = `{"subscribe":["chat.*"],"auto":["news"]}`
	for _, test := range []struct {
		name             string
		claim, userClaim string
		claims           map[string]any
		user, grants     string
		refused          string // a part of the message
	}{
		{"as by default", "", "", map[string]any{"fleetcast": grants}, "alice", text, ""},
		{"no grants", "", "", map[string]any{"fleetcast": nil}, "alice", `{}`, ""},
		{"no user", "", "", map[string]any{"sub": nil}, "", `{"subscribe":["chat.*"]}`, ""},
		{"an empty user", "", "", map[string]any{"sub": ""}, "", `{"subscribe":["chat.*"]}`, ""},
		{"a number as the user", "", "", map[string]any{"sub": 42}, "42", `{"subscribe":["chat.*"]}`, ""},
		{"a URL", "https://example.com/fleet.cast", "", map[string]any{"https://example.com/fleet.cast": grants}, "alice", text, ""},
		{"a URN", "urn:x:y.z", "", map[string]any{"urn:x:y.z": grants}, "alice", text, ""},
		{"nested", "app_metadata.fleetcast", "user.name", map[string]any{"app_metadata": map[string]any{"fleetcast": grants}, "user": map[string]any{"name": "bob"}}, "bob", text, ""},
		{"nested, not there", "app_metadata.fleetcast", "user.name", map[string]any{"app_metadata": map[string]any{}}, "", `{}`, ""},
		{"another user claim", "", "email", map[string]any{"email": "a@example.com"}, "a@example.com", `{"subscribe":["chat.*"]}`, ""},

		{"grants as a text", "", "", map[string]any{"fleetcast": "chat.*"}, "", "", "grants must be an object"},
		{"grants as a list", "", "", map[string]any{"fleetcast": []string{"chat.*"}}, "", "", "grants must be an object"},
		{"a bad pattern", "", "", map[string]any{"fleetcast": map[string]any{"publish": []string{""}}}, "", "", `"publish"`},
		{"the way leads through a text", "a.b", "", map[string]any{"a": "text"}, "", "", "is not a JSON object"},
		{"user as an object", "", "", map[string]any{"sub": map[string]any{}}, "", "", "neither a text nor a whole number"},
		{"user as a fraction", "", "", map[string]any{"sub": 1.5}, "", "", "neither a text nor a whole number"},
		{"user with a line feed", "", "", map[string]any{"sub": "a\nb"}, "", "", "control characters"},
		{"user too long", "", "", map[string]any{"sub": strings.Repeat("x", 256)}, "", "", "longer than 255"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClock()
			signed := sign(t, "HS256", "", []byte(secret), claims(c, test.claims))
			byIssuer := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Secret: secret, Claim: test.claim, UserClaim: test.userClaim}}})
			byOptions := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Secret: secret}}, Claim: test.claim, UserClaim: test.userClaim})
			for _, v := range []*token.Verifier{byIssuer, byOptions} {
				if test.refused != "" {
					got := want(t, v, signed, token.BadClaims)
					if got.Refusal != nil && !strings.Contains(got.Refusal.Message, test.refused) {
						t.Errorf("%q, want %q in it", got.Refusal.Message, test.refused)
					}
					continue
				}
				got := want(t, v, signed, "accepted").Identity
				if got != nil && (got.User != test.user || got.Grants.Text() != test.grants) {
					t.Errorf("%q, %s", got.User, got.Grants.Text())
				}
			}
		})
	}
	// A member twice on the way is refused, as at the top.
	v := newVerifier(t, newClock(), token.Options{Issuers: []token.Issuer{{Secret: secret, UserClaim: "a.b"}}})
	want(t, v, spell(`{"alg":"HS256"}`, `{"exp":1800003600,"a":{"b":"x","b":"y"}}`), token.BadClaims)
}

// TestGrantsAreShared has tokens with the same grants hold them once.
func TestGrantsAreShared(t *testing.T) {
	c := newClock()
	var in identity.Interner
	v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Secret: secret}}, Interner: &in})
	alice := want(t, v, sign(t, "HS256", "", []byte(secret), claims(c, nil)), "accepted").Identity
	bob := want(t, v, sign(t, "HS256", "", []byte(secret), claims(c, map[string]any{"sub": "bob"})), "accepted").Identity
	if alice.Grants != bob.Grants || in.Len() != 1 {
		t.Errorf("%p and %p, %d held", alice.Grants, bob.Grants, in.Len())
	}
}

func TestTickets(t *testing.T) {
	c := newClock()
	tickets, err := identity.NewTickets(&identity.Interner{})
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Secret: secret}}, Tickets: tickets})
	alice := want(t, v, sign(t, "HS256", "", []byte(secret), claims(c, nil)), "accepted").Identity
	ticket := tickets.Issue(alice, c.now())
	if got := want(t, v, ticket, "accepted").Identity; got != nil && (got.User != "alice" || got.Expires != alice.Expires || !got.Grants.Equal(alice.Grants)) {
		t.Errorf("%+v", got)
	}
	if got := v.Verify(t.Context(), netip.Addr{}, []byte(ticket)); got.Refusal != nil {
		t.Error(got.Refusal)
	}
	want(t, v, ticket+"A", token.TicketInvalid)
	other := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Issuer: issName, Secret: secret}}, Tickets: tickets})
	want(t, other, ticket, token.TicketInvalid)
	c.advance(identity.TicketLife)
	want(t, v, ticket, token.TicketExpired)
	want(t, hmacVerifier(t, c), ticket, token.TicketInvalid)
}

func TestSubscriptionTokens(t *testing.T) {
	c := newClock()
	v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Secret: secret}, {Issuer: issName, Keys: pemOf(t, keys()["ES256"])}}})
	make := func(changes map[string]any) []byte {
		return []byte(sign(t, "HS256", "", []byte(secret), claims(c, changesWith(changes, "iss", nil))))
	}
	alice := &identity.Identity{User: "alice", Grants: identity.Anonymous().Grants}
	bob := &identity.Identity{User: "bob", Grants: alice.Grants}
	for _, test := range []struct {
		name    string
		text    []byte
		who     *identity.Identity
		channel string
		want    string
	}{
		{"right", make(map[string]any{"channel": "chat.*"}), alice, "chat.lobby", ""},
		{"of its user", make(map[string]any{"channel": "inbox.{user}"}), alice, "inbox.alice", ""},
		{"of another user", make(map[string]any{"channel": "inbox.{user}"}), alice, "inbox.bob", token.WrongUse},
		{"another channel", make(map[string]any{"channel": "chat.*"}), alice, "news", token.WrongUse},
		{"another user", make(map[string]any{"channel": "chat.*"}), bob, "chat.lobby", token.WrongUse},
		{"for nobody, by somebody", make(map[string]any{"channel": "chat.*", "sub": nil}), bob, "chat.lobby", token.WrongUse},
		{"for somebody, by nobody", make(map[string]any{"channel": "chat.*"}), identity.Anonymous(), "chat.lobby", token.WrongUse},
		{"for nobody, by nobody", make(map[string]any{"channel": "chat.*", "sub": nil}), identity.Anonymous(), "chat.lobby", ""},
		{"expired", make(map[string]any{"channel": "chat.*", "exp": 1}), alice, "chat.lobby", token.Expired},
		{"one for a connection", make(nil), alice, "chat.lobby", token.WrongUse},
		{"no text", make(map[string]any{"channel": []string{"chat.*"}}), alice, "chat.lobby", token.BadClaims},
		{"no pattern", make(map[string]any{"channel": "a b"}), alice, "a b", token.BadClaims},
		{"null", make(map[string]any{"channel": (*string)(nil)}), alice, "chat.lobby", token.BadClaims},
		{"no token", []byte("x"), alice, "chat.lobby", token.Malformed},
		{"signed with a public key's", []byte(sign(t, "ES256", "", keys()["ES256"], claims(c, map[string]any{"channel": "chat.*"}))), alice, "chat.lobby", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 { // the second time from the cache
				verdict, left := v.QuickSubscription(test.text)
				if left != nil {
					verdict = v.VerifySubscription(t.Context(), netip.Addr{}, test.text)
				}
				refusal := verdict.Refusal
				if refusal == nil {
					refusal = verdict.Subscription.Refuses(test.who, []byte(test.channel))
				}
				got := ""
				if refusal != nil {
					got = refusal.Reason
				}
				if got != test.want {
					t.Errorf("%v, want %q", refusal, test.want)
				}
			}
		})
	}
	want(t, v, string(make(map[string]any{"channel": "chat.*"})), token.WrongUse)
	if verdict, _ := v.QuickSubscription(make(map[string]any{"channel": "chat.*"})); verdict.Subscription.Expires != c.now().Unix()+3600 {
		t.Errorf("%+v", verdict.Subscription)
	}
}

// changesWith adds a change.
func changesWith(changes map[string]any, name string, value any) map[string]any {
	all := map[string]any{name: value}
	for name, value := range changes {
		all[name] = value
	}
	return all
}
