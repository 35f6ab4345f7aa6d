package settings

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"

	"fleetcast/gateway/identity"
	"fleetcast/gateway/rules"
)

// Identifies tells whether clients can say who they are. Then clients may subscribe and
// publish where they are granted to, if no rule says otherwise. Else DefaultSubscribe says
// who may subscribe, and nobody may publish.
func (c *Config) Identifies() bool { return len(c.Issuers) > 0 || c.ConnectHook != nil }

// allowsAnyone tells whether a client that does not say who it is may do anything.
func (c *Config) allowsAnyone() bool {
	if !c.Identifies() {
		return true
	}
	// A rule with a hook alone is for clients that have said who they are.
	is := func(a *rules.Audience) bool { return a != nil && *a == rules.Anyone }
	return slices.ContainsFunc(c.ChannelRules(), func(e rules.Entry) bool { return is(e.Subscribe) || is(e.Publish) })
}

// maxSubscribeHooks bounds the series of metrics, and how many clients can wait.
const maxSubscribeHooks = 16

// checkIdentity names what is wrong with what says who clients are. No message shows a
// secret.
func (c *Config) checkIdentity(errs *OptionErrors) {
	names := make(map[string]bool, len(c.Issuers))
	for i := range c.Issuers {
		issuer := &c.Issuers[i]
		if err := issuer.Check(); err != nil {
			errs.add("Issuers", "entry %d: %v", i+1, err)
		}
		if names[issuer.Issuer] {
			errs.add("Issuers", "name %q twice", issuer.Issuer)
		}
		names[issuer.Issuer] = true
	}
	if c.ConnectHook != nil {
		if err := c.ConnectHook.Check(); err != nil {
			errs.add("ConnectHook", "is wrong: %v", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.SubscribeHooks)) {
		options := c.SubscribeHooks[name]
		if err := errors.Join(rules.CheckHookName(name), options.Check()); err != nil {
			errs.add("SubscribeHooks", "entry %.40q: %v", name, err)
		}
	}
	if n := len(c.SubscribeHooks); n > maxSubscribeHooks {
		errs.add("SubscribeHooks", "are %d, must be at most %d", n, maxSubscribeHooks)
	}
	if c.TokenCookie != "" {
		if err := (&http.Cookie{Name: c.TokenCookie, Value: "x"}).Valid(); err != nil {
			errs.add("TokenCookie", "is %.40q, which is no name of a cookie", c.TokenCookie)
		}
		// A browser sends its user's cookie with what any page asks for.
		for _, every := range []string{"*", "null"} {
			if slices.Contains(c.AllowedOrigins, every) {
				errs.add("TokenCookie", "is set, and AllowedOrigins has %s, so every web site could connect as its visitors; name the origins", every)
			}
		}
	}
	if info, err := os.Stat(c.KeysDir); c.KeysDir != "" && (err != nil || !info.IsDir()) {
		errs.add("KeysDir", "is %.200q, which is no folder", c.KeysDir)
	}
	for i, key := range c.TicketKeys {
		if len(key) < identity.MinTicketKey {
			errs.add("TicketKeys", "%s", fmt.Sprintf("entry %d has %d bytes, must have at least %d", i+1, len(key), identity.MinTicketKey))
		}
	}
}
