package authority_test

import (
	"strings"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/authority"
	"fleetcast/gateway/hook"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/token"
)

// TestTicketsOfOthers has gateways with one key for tickets and other issuers or hooks: what has
// not vouched for a client here is no reason to let it in.
func TestTicketsOfOthers(t *testing.T) {
	tickets, err := identity.NewTickets(new(identity.Interner), []byte(strings.Repeat("k", identity.MinTicketKey)))
	if err != nil {
		t.Fatal(err)
	}
	log := testrun.Log(t)
	issued := func(names ...string) *token.Verifier {
		var issuers []token.Issuer
		for _, name := range names {
			issuers = append(issuers, token.Issuer{Issuer: name, Secret: testrun.Secret + strings.Repeat("s", 15)})
		}
		v, err := token.New(token.Options{Issuers: issuers, Tickets: tickets, Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(v.Close)
		return v
	}
	options := hook.DefaultOptions()
	options.URL, options.Logger = "http://127.0.0.1:9/", log
	asked, err := hook.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(asked.Close)
	a, b, none := identity.DigestIssuer("a"), identity.DigestIssuer("b"), identity.DigestIssuer("")
	for _, test := range []struct {
		name   string
		tokens *token.Verifier
		hook   *hook.Hook
		behind identity.Behind
		good   bool
	}{
		{"its issuer", issued("a", "b"), nil, identity.Behind{Issuer: b}, true},
		{"the issuer without a name", issued(""), nil, identity.Behind{Issuer: none}, true},
		{"another issuer", issued("a"), nil, identity.Behind{Issuer: b}, false},
		{"another issuer, and one without a name", issued("a", ""), nil, identity.Behind{Issuer: b}, false},
		{"no issuer", nil, nil, identity.Behind{Issuer: a}, false},
		{"an issuer, and the hook is new", issued("a"), asked, identity.Behind{Issuer: a}, false},
		{"an issuer, and the hook has gone", issued("a"), nil, identity.Behind{Issuer: a, Hook: true}, false},
		{"an issuer and a hook", issued("a"), asked, identity.Behind{Issuer: a, Hook: true}, true},
		{"an issuer that has gone, and a hook", issued("b"), asked, identity.Behind{Issuer: a, Hook: true}, false},
		{"no issuer any more, and a hook", nil, asked, identity.Behind{Issuer: a, Hook: true}, false},
		{"a hook", nil, asked, identity.Behind{Hook: true}, true},
		{"a hook that has gone", issued("a"), nil, identity.Behind{Hook: true}, false},
		{"of an earlier version", issued("a", ""), nil, identity.Behind{}, false},
		{"of an earlier version, and a hook", nil, asked, identity.Behind{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := authority.Authority{Tokens: test.tokens, Hook: test.hook, Tickets: tickets, Now: time.Now}
			ticket := all.Ticket(&identity.Identity{User: "alice", Grants: identity.Anonymous().Grants, Behind: test.behind})
			outcome, _, ok := all.AtOnce([]byte(ticket), true)
			if !ok || (outcome.Refusal == nil) != test.good {
				t.Errorf("%t, %+v", ok, outcome)
			}
			if outcome.Refusal != nil && (outcome.Refusal.Reason != token.TicketInvalid || outcome.Refusal.Temporary) {
				t.Errorf("refused with %+v", outcome.Refusal)
			}
			if outcome.Identity != nil && outcome.Identity.Behind != test.behind {
				t.Errorf("the client is %+v", outcome.Identity)
			}
		})
	}
}
