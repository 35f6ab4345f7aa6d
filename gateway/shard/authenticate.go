package shard

import (
	"strings"
	"time"

	"fleetcast/codec/command"
	"fleetcast/gateway/authority"
	"fleetcast/gateway/dialect"
)

// Refusals of commands by which a client says who it is.
var (
	errMustAuthenticate = &command.Error{Code: command.AuthenticationRequired, Message: "say who you are first: send authenticate with a token, or show one when you connect (Authorization: Bearer, or the subprotocol bearer.TOKEN; not in the URL)"}
	errNoAuthority      = &command.Error{Code: command.NotAvailable, Message: "the gateway has no issuer of tokens and no connect hook, so it knows no tokens"}
	errOtherUser        = &command.Error{Code: command.PermissionDenied, Message: "the token is of another user; connect again with it"}
)

// retryIdentity is after how long a client should show a token again that could not be
// checked because something was busy or down.
const retryIdentity = 2 * time.Second

// authenticate takes a token by which the client says who it is, for the first time or
// again before its last one ends.
func (c *session) authenticate(cmd *command.Command) {
	s := c.shard
	a := s.shared.Authority.Load()
	if a == nil {
		c.refuse(errNoAuthority, cmd)
		return
	}
	id := cmd.ID
	outcome, left, ok := a.AtOnce(cmd.Token, false)
	if ok {
		c.authenticated(outcome, id)
		return
	}
	question := authority.Question{Client: c.remote(), Left: left}
	if left == nil {
		question.Token = string(cmd.Token)
	}
	c.identifyThen(a, question, func(c *session, o authority.Outcome) { c.authenticated(o, id) })
}

// authenticated answers authenticate. A client that may do nothing without a token is
// closed if its token is refused. Another one stays who it was.
func (c *session) authenticated(outcome authority.Outcome, id command.ID) {
	refusal := outcome.Refusal
	if refusal == nil {
		if user := c.who().User; user != "" && user != outcome.Identity.User {
			c.answerRefusal(errOtherUser, dialect.Reply{To: command.Authenticate, ID: id})
			return
		}
		refusal = c.become(outcome.Identity)
	}
	if refusal != nil {
		c.answerRefusalCounted(commandError(refusal), dialect.Reply{To: command.Authenticate, ID: id}, refusal.Label())
		if !refusal.Temporary && c.mustAuthenticate() {
			c.closeUnknown(Unauthenticated, refusal)
		}
		return
	}
	c.reply(dialect.Reply{To: command.Authenticate, ID: id, Standing: c.standing(outcome.Costly)})
	c.subscribeItself(c.withdrawDenied())
}

// commandError is how the refusal of a token is worded in answer to a command.
func commandError(r *authority.Refusal) *command.Error {
	e := &command.Error{Code: command.Code(r.Reason), Message: strings.TrimPrefix(r.Message, r.Reason+": ")}
	if r.Temporary {
		e.Code, e.RetryAfter = command.NotAvailable, retryIdentity
	}
	return e
}

// withdraw ends a subscription, and tells the client.
func (c *session) withdraw(number int, code command.Code) {
	s, ch := c.shard, c.subscriptions[number].channel
	c.leave(number)
	if c.backlog != nil {
		c.backlog.Forget(ch.Stream) // the notice goes ahead of events
	}
	s.replies = c.dialect().AppendWithdrawn(s.replies, ch.Name, code)
}

// subscribeItself subscribes the client to the channels that its grants name for that. hooks
// are asked first, if it is not nil.
func (c *session) subscribeItself(hooks *asking) {
	for text := range c.who().AutoChannels() {
		if ch := c.shard.channels[text]; ch != nil && c.find(ch) >= 0 {
			continue
		}
		name := []byte(text)
		hookName := c.hookFor(name, false)
		if hooks == nil && hookName == "" {
			c.subscribe(name, command.ID{}, nil, nil)
			continue
		}
		if hooks == nil {
			hooks = new(asking)
		}
		hooks.add(c, name, hookName, "", nil)
	}
	if hooks != nil {
		c.ask(hooks)
	}
}
