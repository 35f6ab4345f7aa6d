package ingest

import (
	"time"

	"fleetcast/codec/command"
	"fleetcast/codec/publish"
	"fleetcast/gateway/keys"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/stats"
	"fleetcast/poller"
)

// Where keys are configured, a connection is a stranger until it has shown one. A
// stranger has little time, may send little, and publishes nothing.
const (
	// strangerTime is the time for a key; the sweep may take a quarter of
	// --message-timeout longer.
	strangerTime = 10 * time.Second
	// strangerLine is the longest line of NDJSON of a stranger, and strangerBulk the
	// longest argument in RESP, in bytes.
	strangerLine = 1 << 10
	strangerBulk = 1 << 10
	// strangerArgs is how many arguments a command of a stranger may have, as in Redis.
	strangerArgs = 10
	// strangerInput is how much of an unfinished command of a stranger is kept, in bytes.
	strangerInput = 16 << 10
	// strangerCommands is how many commands of a stranger are refused before the
	// connection ends. Libraries send some before AUTH.
	strangerCommands = 32
	// wrongKeys is how many wrong keys a connection may show.
	wrongKeys = 3
)

// access is what a publisher has shown, and what it may do by that.
type access struct {
	set     *keys.Set     // in which holder was found; nil: no key is needed
	holder  *keys.Holder  // nil: it has shown no key, or needs none
	since   time.Duration // when it began to be a stranger; the loop's time
	lost    bool          // it is a stranger because the configuration has changed
	wrong   uint8         // keys that were wrong
	refused uint8         // commands that were refused for want of a key
}

// forget makes the publisher a stranger again, if keys are needed.
func (a *access) forget(now time.Duration) { a.holder, a.since, a.refused = nil, now, 0 }

// admitted tells whether the publisher is no stranger. After a change of the
// configuration it looks at its key anew.
func (p *publisher) admitted() bool {
	a := &p.access
	if set := p.ingest.port.Settings.Load().PublishKeys; set != a.set {
		was := a.set == nil || a.holder != nil
		a.set, a.holder = set, set.Again(a.holder)
		if set != nil && a.holder == nil && was {
			a.forget(p.ingest.Loop.Now())
			a.lost = true
		}
	}
	return a.set == nil || a.holder != nil
}

// keyName is the name of the publisher's key, or empty.
func (p *publisher) keyName() string {
	if p.access.holder == nil {
		return ""
	}
	return p.access.holder.Name
}

// respUser is what RESP calls the publisher's user.
func (p *publisher) respUser() string {
	if name := p.keyName(); name != "" {
		return name
	}
	return "default"
}

var (
	errWrongKey = &command.Error{Code: command.InvalidKey, Message: "there is no such key"}
	errNoForm   = &command.Error{Code: command.InvalidKey, Message: keys.NoForm}
	errKeyGone  = &command.Error{Code: command.AuthenticationRequired, Message: "the configuration has changed: the key of this connection was removed, or it has shown none and one is needed now"}
	errNeedsKey = &command.Error{Code: command.AuthenticationRequired, Message: `this port needs a key; send {"auth":"fck_..."} as the first line`}
)

// takeKey admits the publisher by its key. user is the key's name, default, or empty. If
// it is refused, cut tells that the connection is to end.
func (p *publisher) takeKey(user string, text []byte) (refusal *command.Error, cut bool) {
	p.admitted() // so that its set is the one in effect
	a := &p.access
	holder := a.set.Find(text)
	if holder != nil && (user == "" || user == "default" || user == holder.Name) {
		a.holder, a.wrong, a.refused, a.lost = holder, 0, 0, false
		return nil, false
	}
	a.wrong++
	p.ingest.work += refusedWork
	if wait := p.ingest.port.Tries.Wrong(p.origin.address, p.ingest.Loop.Now()); wait > 0 {
		return &command.Error{Code: command.RateLimited, Message: "too many wrong keys have come from this address", RetryAfter: wait}, true
	}
	if !keys.HasForm(text) {
		return errNoForm, a.wrong >= wrongKeys
	}
	return errWrongKey, a.wrong >= wrongKeys
}

// strangerLine handles a line of a stranger. Whatever is no right key ends the
// connection.
func (p *publisher) strangerLine(line []byte, status publish.Status) verdict {
	in := p.ingest
	r := &in.request
	if status == publish.TooLong || r.Parse(line, in.port.Settings.RequestLimits()) != nil || !r.IsAuth() {
		id := r.ID
		if status == publish.TooLong {
			id = command.ID{}
		}
		p.refuseLine(id, errNeedsKey)
		return stepClose
	}
	return p.takeLineKey(r)
}

// takeLineKey handles a line that shows a key. Where none is needed any is right, so that
// the same publisher works with every gateway.
func (p *publisher) takeLineKey(r *publish.Request) verdict {
	if p.access.set != nil {
		if refusal, _ := p.takeKey("", r.Auth); refusal != nil {
			p.refused(command.InvalidKey, refusal.Message)
			p.answerRefusal(r.ID, refusal)
			return stepClose
		}
		p.lines.Limit = p.lineLimit()
	}
	if r.ID.Set {
		p.ingest.replies = publish.AppendAuthenticated(p.ingest.replies, r.ID, p.keyName())
	}
	return stepDone
}

// respLimits are the limits of the next command.
func (p *publisher) respLimits() publish.RESPLimits {
	if !p.admitted() {
		return publish.RESPLimits{Args: strangerArgs, Bulk: strangerBulk, Command: strangerInput}
	}
	longest := p.ingest.port.Settings.Config().MaxEvent
	return publish.RESPLimits{Bulk: longest, Command: longest + RequestRoom}
}

// respForStrangers tells whether strangers may send a command: those that Redis takes
// without a password.
func respForStrangers(name []byte) bool {
	return isWord(name, "auth") || isWord(name, "hello") || isWord(name, "quit") || isWord(name, "reset")
}

// respStranger refuses a command for want of a key.
func (p *publisher) respStranger(words string) verdict {
	p.refused(command.AuthenticationRequired, "a command before AUTH")
	p.ingest.replies = publish.AppendRESPError(p.ingest.replies, words)
	if p.access.refused++; p.access.refused >= strangerCommands {
		return stepClose
	}
	return stepDone
}

// mayPublish returns a refusal if the publisher's key is not for the channel.
func (p *publisher) mayPublish(channel []byte) *command.Error {
	h := p.access.holder
	if h == nil {
		return nil
	}
	may, looked := p.ingest.allowed.MayPublish(h, channel)
	p.ingest.work += looked * limits.NameWork
	if may {
		return nil
	}
	return notYourChannel(h, channel)
}

// mayPublishAll is mayPublish for the channels of one request, which is refused as a
// whole.
func (p *publisher) mayPublishAll(channels [][]byte) *command.Error {
	if p.access.holder == nil {
		return nil
	}
	for _, channel := range channels {
		if refusal := p.mayPublish(channel); refusal != nil {
			return refusal
		}
	}
	return nil
}

func notYourChannel(h *keys.Holder, channel []byte) *command.Error {
	return &command.Error{Code: command.PermissionDenied, Message: "the key " + h.Name + " may not publish to " + command.QuoteChannel(channel)}
}

// admit takes what events cost, by the rate of the publisher's key, its own rate, and its
// credits. ok is false without a refusal if there is no credit. Then nothing is taken.
func (p *publisher) admit(events int, cost int64) (refusal *command.Error, ok bool) {
	in := p.ingest
	return admit(p.access.holder, p.account, &in.port.Settings.Load().Publisher, events, cost, in.Loop.Now())
}

// admit is for a publisher with a key, or without one, and the rate that each publisher
// has.
func admit(by *keys.Holder, account *limits.Account, rate *limits.EventRate, events int, cost int64, now time.Duration) (refusal *command.Error, ok bool) {
	limited := by != nil && by.Limited()
	if limited {
		if refusal = by.Take(events, now); refusal != nil {
			return refusal, false
		}
	}
	if refusal, ok = account.Admit(rate, events, cost, now); limited && !ok {
		by.Give(events)
	}
	return refusal, ok
}

// rateLeft is how many events the publisher's rates allow one after the other at this
// moment; limited tells whether it has any.
func (p *publisher) rateLeft() (left int, limited bool) {
	now := p.ingest.Loop.Now()
	left, limited = p.account.RateLeft(now)
	if h := p.access.holder; h != nil && h.Limited() {
		return min(left, h.Left(now)), true
	}
	return left, limited
}

// CheckKeys ends the connections of the loop's publishers that the configuration in
// effect does not admit any more: their key was removed, or they came before one was
// needed. Those that have only changed go on with what their key now allows. It looks at
// a portion at a time. The loop calls it.
func (in *Loop) CheckKeys() { in.checkKeys(0) }

func (in *Loop) checkKeys(from int) {
	next := in.Loop.Walk(from, stats.SearchPortion, func(h poller.Handler) bool {
		p := h.(*publisher)
		if !p.closing && !p.admitted() && p.access.lost {
			in.counters.Ended[EndedNoKey]++
			p.disconnect(errKeyGone)
		}
		return true
	})
	if next >= 0 {
		in.Post(func() { in.checkKeys(next) })
	}
}
