package gateway

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"fleetcast/gateway/authority"
	"fleetcast/gateway/hook"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stats"
	"fleetcast/gateway/token"
)

// clock is the wall clock of a configuration.
func clock(c *settings.Config) func() time.Time {
	if c.Clock != nil {
		return c.Clock
	}
	return time.Now
}

// setAuthority puts what a configuration says about who clients are into effect. Clients
// that are connected stay who they are until their identity ends. On an error nothing has
// changed.
func (g *Gateway) setAuthority(c *settings.Config) error {
	before := g.clients.Authority.Load()
	hooks, err := g.newHooks(c)
	if err != nil {
		return err
	}
	// This comes last, because the new verifier takes over from the one before.
	next, err := g.newAuthority(c, before)
	if err != nil {
		return err
	}
	g.clients.Authority.Store(next)
	closeParts(before)
	if was := g.clients.Hooks.Swap(&hooks); was != nil {
		closeHooks(*was)
	}
	return nil
}

// newAuthority is nil if clients need not and cannot say who they are, and nobody is asked
// whether they may connect.
func (g *Gateway) newAuthority(c *settings.Config, before *authority.Authority) (*authority.Authority, error) {
	if !c.Identifies() && c.Decider == nil {
		return nil, nil
	}
	next := &authority.Authority{Decider: c.Decider, Cookie: c.TokenCookie, Waiting: authority.DefaultWaiting, Now: g.clients.Now}
	if c.Decider != nil {
		next.Waiting = c.Decider.AtOnce
	}
	if !c.Identifies() {
		return next, nil
	}
	var err error
	if next.Tickets, err = g.tickets(c, before); err != nil {
		return nil, fmt.Errorf("set up resume tickets: %w", err)
	}
	if c.ConnectHook != nil {
		options := *c.ConnectHook
		options.Logger, options.Grants = cmp.Or(options.Logger, g.logger), cmp.Or(options.Grants, g.interner)
		if before != nil && before.Hook.Has(&options) {
			next.Hook = before.Hook // it goes on with what it knows of its endpoint
		} else if next.Hook, err = hook.New(options); err != nil {
			return nil, fmt.Errorf("set up the connect hook: %w", err)
		}
	}
	if len(c.Issuers) > 0 {
		var was *token.Verifier
		if before != nil {
			was = before.Tokens
		}
		options := token.Options{Issuers: c.Issuers, Interner: g.interner, Logger: g.logger, Now: g.clients.Now, Previous: was, Tickets: next.Tickets, KeysDir: c.KeysDir}
		if next.Tokens, err = token.New(options); err != nil {
			return nil, fmt.Errorf("set up issuers: %w", err)
		}
	}
	return next, nil
}

// tickets are those of before if their keys are the same, because a random key must
// outlive a reload.
func (g *Gateway) tickets(c *settings.Config, before *authority.Authority) (*identity.Tickets, error) {
	same := slices.EqualFunc(c.TicketKeys, g.config().TicketKeys, bytes.Equal)
	if before != nil && before.Tickets != nil && same {
		return before.Tickets, nil
	}
	return identity.NewTickets(g.interner, c.TicketKeys...)
}

// closeParts closes what an authority has, which may be nil. Decisions under way end with
// an answer, or as temporary refusals.
func closeParts(had *authority.Authority) {
	if had == nil {
		return
	}
	if had.Hook != nil {
		had.Hook.Close()
	}
	if had.Tokens != nil {
		had.Tokens.Close()
	}
}

// newHooks are the hooks that are asked about subscriptions. One whose options have not
// changed goes on with what it knows of its endpoint.
func (g *Gateway) newHooks(c *settings.Config) (authority.Hooks, error) {
	hooks := make(authority.Hooks, len(c.SubscribeHooks))
	before := g.clients.Hooks.Load()
	for name, options := range c.SubscribeHooks {
		options.Name, options.Logger = cmp.Or(options.Name, name), cmp.Or(options.Logger, g.logger)
		if before != nil && (*before)[name].Has(&options) {
			hooks[name] = (*before)[name]
			continue
		}
		var err error
		if hooks[name], err = hook.New(options); err != nil {
			return nil, fmt.Errorf("set up the subscribe hook %s: %w", name, err)
		}
	}
	return hooks, nil
}

func closeHooks(hooks authority.Hooks) {
	for _, one := range hooks {
		one.Close()
	}
}

// closeAuthority is for a gateway that has stopped.
func (g *Gateway) closeAuthority() {
	closeParts(g.clients.Authority.Load())
	if hooks := g.clients.Hooks.Load(); hooks != nil {
		closeHooks(*hooks)
	}
}

// addIdentityStats adds what those have counted who are asked who clients are.
func (g *Gateway) addIdentityStats(all *stats.Gateway) {
	a := g.clients.Authority.Load()
	all.UsersBlocked = int64(g.clients.Blocked.Len(g.clients.Now()))
	all.SubscribeHooks = make(map[string]stats.SubscribeHook)
	// Without an issuer or a hook, JSON has no null in their place.
	all.Tokens.Refused, all.ConnectHook.Requests = map[string]uint64{}, map[string]uint64{}
	all.ConnectHook.Seconds.Buckets = []stats.HistogramBucket{}
	if a != nil && a.Tokens != nil {
		all.Tokens = a.Tokens.Figures()
	}
	if a != nil && a.Hook != nil {
		all.ConnectHook = a.Hook.Stats()
	}
	if hooks := g.clients.Hooks.Load(); hooks != nil {
		for name, one := range *hooks {
			all.SubscribeHooks[name] = stats.SubscribeHook(one.Stats())
		}
	}
}
