package shard

import (
	"time"

	"fleetcast/codec/command"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/settings"
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
	who := c.who()
	switch allowed := table.Subscribe(rule, who.User, name); {
	case among(allowed, who, (*identity.Identity).MaySubscribe, name):
		return nil
	case allowed == rules.Users:
		return errSubscribeUsers
	case allowed == rules.Tokens:
		return errSubscribeTokens
	}
	return errSubscribeNobody
}

// noteRules has the subscriptions of all clients checked after a reload, each client's when
// the loop sweeps over it.
func (s *Shard) noteRules(now time.Duration) {
	set := s.shared.Settings.Load()
	if s.checked == set.Rules {
		return
	}
	s.checked, s.checkUntil = set.Rules, now+set.Config.PingInterval+2*settings.BeatLength
}

// checkSubscriptions ends those that the rules do not allow any more.
func (c *session) checkSubscriptions() {
	if s := c.shard; s.Loop.Now() < s.checkUntil && !s.checked.Open() {
		c.withdrawDenied()
		c.flushReplies()
	}
}

// mayPublish returns why the client may not publish to a channel, or nil.
func (c *session) mayPublish(name []byte) error {
	rule := c.shard.ruleFor(name)
	who := c.who()
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
