package shard

import (
	"fleetcast/codec/command"
	"fleetcast/gateway/authority"
	"fleetcast/gateway/dialect"
	"fleetcast/gateway/token"
)

// subscribeByToken subscribes to one channel with a token that is for that.
func (c *session) subscribeByToken(cmd *command.Command) {
	a := c.shard.shared.Authority.Load()
	if a == nil || a.Tokens == nil {
		c.refuseChannel(command.Subscribe, cmd.Channels[0], errNoAuthority, cmd.ID)
		return
	}
	if verdict, ok := a.Tokens.QuickSubscription(cmd.Token); ok {
		c.subscribeWith(verdict, cmd.Channels[0], cmd.ID)
		return
	}
	name, id := string(cmd.Channels[0]), cmd.ID
	c.decideThen(a, authority.Question{Token: string(cmd.Token), Subscribing: true}, func(c *session, o authority.Outcome) {
		verdict := token.SubscriptionVerdict{Subscription: o.Subscription}
		if r := o.Refusal; r != nil {
			verdict.Refusal = &token.Refusal{Reason: r.Reason, Message: r.Message, Temporary: r.Temporary}
		}
		c.subscribeWith(verdict, []byte(name), id)
	})
}

// subscribeWith subscribes to a channel if a token for a subscription allows it. The
// subscription ends with the token, unless the client's own grants allow it too.
func (c *session) subscribeWith(v token.SubscriptionVerdict, name []byte, id command.ID) {
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
	before := len(c.subscriptions)
	c.subscribe(name, id, true)
	if len(c.subscriptions) == before || v.Subscription.Expires == 0 {
		return
	}
	s := c.shard
	if s.lent == nil {
		s.lent = make(map[*session]map[*channel]int64)
	}
	if s.lent[c] == nil {
		s.lent[c] = make(map[*channel]int64)
	}
	s.lent[c][c.subscriptions[before].channel] = v.Subscription.Expires
}

// endLent ends the subscriptions whose token has ended. It is called once per ping interval.
func (c *session) endLent() {
	s := c.shard
	lent := s.lent[c]
	if len(lent) == 0 {
		return
	}
	now := s.shared.Now().Unix()
	for ch, expires := range lent {
		number := c.find(ch)
		switch {
		case number < 0: // it has ended
		case now < expires:
			continue
		case c.maySubscribe([]byte(ch.Name), ch) != nil:
			c.withdraw(number, command.Code(token.Expired))
		}
		delete(lent, ch)
	}
	if len(lent) == 0 {
		delete(s.lent, c)
	}
	c.flushReplies()
}
