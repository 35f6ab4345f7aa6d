package shard

import (
	"strings"
	"time"

	"fleetcast/codec/command"
	"fleetcast/gateway/authority"
	"fleetcast/gateway/backlog"
	"fleetcast/gateway/dialect"
	"fleetcast/gateway/hook"
	"fleetcast/gateway/limits"
)

// asking are the channels of one command, from the first one on about which a hook is asked.
// They wait together, so that all are answered in their order, and their client is not read
// until then.
type asking struct {
	id        command.ID
	names     []askedName
	questions []authority.HookQuestion
	bytes     int // of the names, and what is asked about them
}

// askedName is one of the channels.
type askedName struct {
	name     string
	refusal  *command.Error // by the client's rate
	question int            // its number; -1 if no hook is asked about it
	start    *command.Start // nil: the live position
	again    bool           // the client is subscribed to it; see recheck
}

// askedBytes is about what one channel takes beside its name.
const (
	askedBytes = 256
	// askedStartBytes is about what its start takes.
	askedStartBytes = 64
)

// add adds a channel about which a hook is asked, unless the name of the hook is empty.
func (q *asking) add(c *session, name []byte, hookName, token string, refusal *command.Error) {
	a := askedName{name: string(name), refusal: refusal, question: -1}
	if hookName != "" {
		a.question = len(q.questions)
		q.questions = append(q.questions, authority.HookQuestion{Hook: hookName, Request: hook.SubscribeRequest{
			Client: c.clientID(), Address: c.remote().Addr(), User: c.who().User, Channel: a.name, Token: token,
		}})
	}
	q.names = append(q.names, a)
	q.bytes += len(name) + len(token) + askedBytes
}

// startAt notes where the subscription to the last channel begins.
func (q *asking) startAt(start *command.Start) {
	if !start.IsLive() {
		q.names[len(q.names)-1].start = start.Clone()
		q.bytes += len(start.Since.Epoch) + askedStartBytes
	}
}

// hookFor is the name of the hook that is asked whether the client may subscribe to a
// channel. It is empty if none is, or if the subscription is refused without that. renews tells
// that the client may have the subscription, because its command renews that.
func (c *session) hookFor(name []byte, renews bool) string {
	set := c.shard.shared.Settings.Load()
	if !set.Rules.Asks() || command.CheckChannelWithin(name, set.Config.MaxChannelName) != nil {
		return ""
	}
	ch := c.shard.channels[string(name)]
	subscribed := ch != nil && c.find(ch) >= 0
	if subscribed && !renews || !subscribed && len(c.subscriptions) >= set.Config.ClientChannels {
		return ""
	}
	allowed, hookName := c.subscribable(set.Rules, name, ch)
	if !c.among(allowed, name) {
		return ""
	}
	return hookName
}

// ask has the session wait until its hooks have answered. If too many clients wait, those
// subscriptions are refused for now.
func (c *session) ask(q *asking) {
	all := c.shard.shared
	c.decideThen(q.decision(all, &all.Admission.asking), authority.DefaultWaiting)
}

// decision has the hooks asked, and then the client answered.
func (q *asking) decision(all *Shared, counted *limits.Crowd) *decision {
	d := &decision{asking: q, counted: counted, after: func(c *session, o authority.Outcome) { c.asked(q, o.Refusal) }}
	d.decide = func() {
		if hooks := all.Hooks.Load(); hooks != nil {
			hooks.Ask(d.ctx, q.questions)
		}
	}
	return d
}

// asked answers for all channels. failed is why no hook could be asked, if it is not nil.
func (c *session) asked(q *asking, failed *authority.Refusal) {
	for i := range q.names {
		a := &q.names[i]
		switch name := []byte(a.name); {
		case a.again:
			c.askedAgain(name, &q.questions[a.question])
		case a.refusal != nil:
			c.refuseChannel(command.Subscribe, name, a.refusal, q.id)
		case a.question < 0:
			c.subscribe(name, q.id, a.start, nil)
		default:
			c.subscribeAsked(a, q.id, &q.questions[a.question], failed)
		}
		if len(c.shard.replies) >= backlog.RepliesHeld {
			c.flushReplies()
		}
		if c.state != sessionOpen {
			return
		}
	}
}

// subscribeAsked subscribes to a channel if its hook allows it.
func (c *session) subscribeAsked(a *askedName, id command.ID, q *authority.HookQuestion, failed *authority.Refusal) {
	name, refusal := []byte(a.name), q.Outcome.Refusal
	switch {
	case q.Outcome.Allowed:
		c.subscribe(name, id, a.start, &permit{hook: q.Hook, shown: q.Request.Token != "", expires: q.Outcome.Expires})
		return
	case refusal != nil:
	case failed != nil:
		refusal = &hook.Refusal{Reason: failed.Reason, Message: failed.Message, Temporary: true}
	default:
		refusal = &hook.Refusal{Reason: ErrUndecided.Reason, Message: "the application was not asked; try again later", Temporary: true}
	}
	code, label := command.Code(refusal.Reason), command.PermissionDenied
	if code == hook.ReasonRefused {
		code = command.PermissionDenied
	}
	e := &command.Error{Code: code, Message: strings.TrimPrefix(refusal.Message, refusal.Reason+": ")}
	if refusal.Temporary {
		label = command.NotAvailable
		// Clients that were refused together must not come back together.
		e.Code, e.RetryAfter = command.NotAvailable, refusal.RetryAfter+time.Duration(c.shard.retryLater())*time.Second
	}
	e.Message = nameChannel(command.Subscribe, name, e.Message)
	c.answerRefusalCounted(e, dialect.Reply{To: command.Subscribe, ID: id, Channel: name}, string(label))
}
