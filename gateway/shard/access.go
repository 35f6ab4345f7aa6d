package shard

import (
	"fleetcast/codec/command"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/rules"
)

// Refusals of what a channel's rule does not let the client do. They name the rule's
// key and value, and not its pattern, which is not for clients to know.
var (
	errSubscribeUsers  = &command.Error{Code: command.PermissionDenied, Message: "this channel is for clients that have a user (subscribe: user)"}
	errSubscribeTokens = &command.Error{Code: command.PermissionDenied, Message: "this channel is for clients whose token grants it (subscribe: token)"}
	errSubscribeNobody = &command.Error{Code: command.PermissionDenied, Message: "no client may subscribe to this channel (subscribe: nobody)"}
	errPublishUsers    = &command.Error{Code: command.PermissionDenied, Message: "clients may not publish to this channel without a user (publish: user)"}
	errPublishTokens   = &command.Error{Code: command.PermissionDenied, Message: "clients may not publish to this channel unless their token grants it (publish: token)"}
	errPublishNobody   = &command.Error{Code: command.PermissionDenied, Message: "clients may not publish to this channel"}
)

// errNotAsked refuses where a hook decides that has not decided about the subscription, because
// the rules have changed.
var errNotAsked = &command.Error{Code: command.NotAvailable, Message: "the rules have changed; try again"}

// among tells whether the client is one of those who may do a thing. Whether its own grants
// allow it is granted.
func among(allowed rules.Audience, who *identity.Identity, granted func(*identity.Identity, []byte) bool, name []byte) bool {
	switch allowed {
	case rules.Anyone:
		return true
	case rules.Users:
		return who.User != "" || granted(who, name)
	case rules.Tokens:
		return granted(who, name)
	}
	return false
}

// among tells whether the client is one of those who may subscribe.
func (c *session) among(allowed rules.Audience, name []byte) bool {
	c.shard.ruled += c.who().Grants.SubscribeWork(name)
	return among(allowed, c.who(), (*identity.Identity).MaySubscribe, name)
}

// subscribable is which clients a table lets subscribe to a channel, and the hook that is
// asked about them. ch is the channel if this shard has it. The rule of a new channel is not
// kept, because the channel may be refused.
func (c *session) subscribable(table *rules.Table, name []byte, ch *channel) (allowed rules.Audience, hookName string) {
	var rule *rules.Rule
	if ch != nil {
		rule = ch.Stream.RuleIn(table)
	} else {
		c.shard.ruled += table.Len()
		rule = table.ForName(name)
	}
	c.shard.ruled += table.Personal(rule, c.who().User)
	return table.Subscribe(rule, c.who().User, name)
}

// maySubscribe returns why the client may not subscribe to a channel, or nil. ch is the
// channel if this shard has it, and by what allows it beside the client's identity, or nil.
// A table that lets anyone subscribe everywhere costs nothing.
func (c *session) maySubscribe(name []byte, ch *channel, by *permit) error {
	table := c.shard.shared.Settings.Load().Rules
	if table.Open() {
		return nil
	}
	allowed, hookName := c.subscribable(table, name, ch)
	byToken := by != nil && by.hook == "" && hookName == "" && allowed != rules.Nobody
	switch {
	case byToken || c.among(allowed, name):
		if hookName != "" && (by == nil || by.hook != hookName) {
			return errNotAsked
		}
		return nil
	case allowed == rules.Users:
		return errSubscribeUsers
	case allowed == rules.Tokens:
		return errSubscribeTokens
	}
	return errSubscribeNobody
}

// mayPublish returns why the client may not publish to a channel, or nil.
func (c *session) mayPublish(name []byte) error {
	rule := c.shard.ruleFor(name)
	who := c.who()
	c.shard.ruled += who.Grants.PublishWork(name) + rule.Of.Personal(rule, who.User)
	switch allowed := rule.Of.Publish(rule, who.User, name); {
	case among(allowed, who, (*identity.Identity).MayPublish, name):
		return nil
	case allowed == rules.Users:
		return errPublishUsers
	case allowed == rules.Tokens:
		return errPublishTokens
	}
	return errPublishNobody
}
