package shard

import (
	"fleetcast/codec/command"
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

// user is who the client is. Clients have no identity yet, so it is nobody in particular.
func (c *session) user() string { return "" }

// among tells whether the client is one of those.
func (c *session) among(who rules.Audience) bool {
	return who == rules.Anyone || who == rules.Users && c.user() != ""
}

// maySubscribe returns why the client may not subscribe to a channel, or nil. ch is the
// channel if this shard has it. A table that lets anyone subscribe everywhere costs
// nothing; otherwise the rule of a new channel is looked up here and not kept, because
// the channel may be refused.
func (c *session) maySubscribe(name []byte, ch *channel) error {
	table := c.shard.shared.Settings.Load().Rules
	if table.Open() {
		return nil
	}
	var rule *rules.Rule
	if ch != nil {
		rule = ch.Stream.RuleIn(table)
	} else {
		c.shard.ruled += table.Len()
		rule = table.ForName(name)
	}
	switch who := table.Subscribe(rule, c.user(), name); {
	case c.among(who):
		return nil
	case who == rules.Users:
		return errSubscribeUsers
	case who == rules.Tokens:
		return errSubscribeTokens
	}
	return errSubscribeNobody
}

// mayPublish returns why the client may not publish to a channel, or nil.
func (c *session) mayPublish(name []byte) error {
	rule := c.shard.ruleFor(name)
	switch who := rule.Of.Publish(rule, c.user(), name); {
	case c.among(who):
		return nil
	case who == rules.Users:
		return errPublishUsers
	case who == rules.Tokens:
		return errPublishTokens
	}
	return errPublishNobody
}
