package shard

import (
	"fleetcast/codec/command"
	"fleetcast/gateway/authority"
	"fleetcast/gateway/dialect"
	"fleetcast/gateway/token"
)

// subscribeByToken subscribes to one channel with a token that is for that, or renews a
// subscription.
func (c *session) subscribeByToken(cmd *command.Command) {
	if hookName := c.hookFor(cmd.Channels[0], true); hookName != "" { // which gets the token as it is
		hooks := &asking{id: cmd.ID}
		hooks.add(c, cmd.Channels[0], hookName, string(cmd.Token), nil)
		hooks.startAt(&cmd.Start)
		c.ask(hooks)
		return
	}
	a := c.shard.shared.Authority.Load()
	if a == nil || a.Tokens == nil {
		c.refuseChannel(command.Subscribe, cmd.Channels[0], errNoAuthority, cmd.ID)
		return
	}
	verdict, left := a.Tokens.QuickSubscription(cmd.Token)
	if left == nil {
		c.subscribeWith(verdict, cmd.Channels[0], cmd.ID, &cmd.Start)
		return
	}
	name, id, start := string(cmd.Channels[0]), cmd.ID, cmd.Start.Clone()
	c.identifyThen(a, authority.Question{Left: left, Client: c.remote(), Subscribing: true}, func(c *session, o authority.Outcome) {
		verdict := token.SubscriptionVerdict{Subscription: o.Subscription}
		if r := o.Refusal; r != nil {
			verdict.Refusal = &token.Refusal{Reason: r.Reason, Message: r.Message, Temporary: r.Temporary}
		}
		c.subscribeWith(verdict, []byte(name), id, start)
	})
}

// subscribeWith subscribes to a channel if a token for a subscription allows it. The
// subscription ends with the token, unless the client's own grants allow it too.
func (c *session) subscribeWith(v token.SubscriptionVerdict, name []byte, id command.ID, start *command.Start) {
	refusal := v.Refusal
	if refusal == nil {
		refusal = v.Subscription.Refuses(c.who(), name)
	}
	if refusal != nil {
		why := authority.Refusal{Reason: refusal.Reason, Message: refusal.Message, Temporary: refusal.Temporary}
		named := commandError(&why)
		named.Message = nameChannel(command.Subscribe, name, named.Message)
		c.answerRefusalCounted(named, dialect.Reply{To: command.Subscribe, ID: id, Channel: name}, why.Label())
		return
	}
	c.subscribe(name, id, start, &permit{shown: true, expires: v.Subscription.Expires})
}

// permit is what allows a client one subscription, beside its identity: a token for it, or
// the answer of a hook.
type permit struct {
	hook    string // that has allowed it; empty for a token
	shown   bool   // a token to get it, which only the client has
	expires int64  // in Unix seconds; 0: never
}

// keepPermit notes what allows a subscription, for as long as there is one.
func (s *Shard) keepPermit(c *session, ch *channel, p permit) {
	if s.permits == nil {
		s.permits = make(map[*session]map[*channel]permit)
	}
	if s.permits[c] == nil {
		s.permits[c] = make(map[*channel]permit)
	}
	s.permits[c][ch] = p
}

// permitFor is what allows the client its subscription to ch, or nil if its identity does.
func (c *session) permitFor(ch *channel) *permit {
	p, ok := c.shard.permits[c][ch]
	if !ok {
		return nil
	}
	return &p
}

// endPermits ends the subscriptions whose permit has ended, unless the client's own grants
// allow them too. It is called once per ping interval.
func (c *session) endPermits() {
	s := c.shard
	permits := s.permits[c]
	if len(permits) == 0 {
		return
	}
	now := s.shared.Now().Unix()
	for ch, p := range permits {
		if p.expires == 0 || now < p.expires {
			continue
		}
		delete(permits, ch)
		if c.maySubscribe([]byte(ch.Name), ch, nil) == nil {
			continue
		}
		code := command.Code(token.Expired)
		if p.hook != "" {
			code = command.PermissionExpired
		}
		c.withdraw(c.find(ch), code)
	}
	if len(permits) == 0 {
		delete(s.permits, c)
	}
	c.flushReplies()
}
