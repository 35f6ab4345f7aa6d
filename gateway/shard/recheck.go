package shard

import (
	"time"

	"fleetcast/codec/command"
	"fleetcast/gateway/authority"
	"fleetcast/gateway/settings"
)

const (
	// checkRounds is how often the loop sweeps over a client until all of its subscriptions
	// are checked after a reload.
	checkRounds = 4
	// askedAgainAtOnce is how many clients wait at a time while hooks are asked about the
	// subscriptions that they have. It is small beside the queue of a hook, so that a reload
	// leaves room in it for clients that subscribe.
	askedAgainAtOnce = 64
)

// checkRound is the longest time between two sweeps over a client.
func checkRound(set *settings.Settings) time.Duration {
	return set.Config.PingInterval + 2*settings.BeatLength
}

// noteRules has the subscriptions of all clients checked after a reload, each client's when
// the loop sweeps over it.
func (s *Shard) noteRules(now time.Duration) {
	set := s.shared.Settings.Load()
	if s.checked == set.Rules {
		return
	}
	s.checked, s.checkUntil = set.Rules, now+checkRounds*checkRound(set)
}

// checkSubscriptions ends those that the rules do not allow any more. About those on which a
// hook decides that has not been asked, it is asked now, or in one of the next sweeps if too
// many wait. In the last one, those that are left end: the client may subscribe again.
func (c *session) checkSubscriptions() {
	s := c.shard
	left := s.checkUntil - s.Loop.Now()
	if left <= 0 || s.checked.Open() {
		return
	}
	again := c.withdrawDenied()
	switch {
	case again == nil, c.asksAgain(), c.askAgain(again):
	case left < checkRound(s.shared.Settings.Load()):
		for i := range again.names {
			ch := s.channels[again.names[i].name]
			c.withdraw(c.find(ch), command.PermissionExpired)
		}
	}
	c.flushReplies()
}

// withdrawDenied ends the subscriptions that the client may not have any more. Others may
// depend on a hook that has not been asked: those are returned, nil if there are none. If the
// client has shown a token for such a subscription, only the client can have the hook asked,
// so the subscription ends and may be asked for.
func (c *session) withdrawDenied() (again *asking) {
	for number := len(c.subscriptions) - 1; number >= 0; number-- {
		ch := c.subscriptions[number].channel
		name, by := []byte(ch.Name), c.permitFor(ch)
		switch err := c.maySubscribe(name, ch, by); {
		case err == nil:
		case err != errNotAsked:
			c.withdraw(number, command.PermissionDenied)
		case by != nil && by.shown:
			c.withdraw(number, command.PermissionExpired)
		default:
			if again == nil {
				again = new(asking)
			}
			_, hookName := c.subscribable(c.shard.shared.Settings.Load().Rules, name, ch)
			again.add(c, name, hookName, "", nil)
			again.names[len(again.names)-1].again = true
		}
	}
	return again
}

// asksAgain tells whether the client waits for hooks about subscriptions that it has.
func (c *session) asksAgain() bool {
	if c.held == nil || c.held.decision == nil || c.held.decision.asking == nil {
		return false
	}
	names := c.held.decision.asking.names
	return len(names) > 0 && names[0].again
}

// askAgain has the client wait for hooks about subscriptions that it has. It gets events
// meanwhile. The result is false if that is not possible now.
func (c *session) askAgain(q *asking) bool {
	s := c.shard
	if c.held != nil || c.repliesWait() {
		return false
	}
	if !c.wait(q.decision(s.shared, &s.shared.Admission.askingAgain), askedAgainAtOnce, s.shared.Settings.Config().HandshakeTimeout) {
		return false
	}
	c.conn.PauseReading()
	s.wholeInput = false
	c.noteInput(c.reader.Pending())
	return true
}

// askedAgain ends a subscription unless its hook allows it. If the hook could not be asked,
// the client may subscribe again.
func (c *session) askedAgain(name []byte, q *authority.HookQuestion) {
	s := c.shard
	ch := s.channels[string(name)]
	if ch == nil || c.find(ch) < 0 {
		return // an operator has ended it
	}
	code, refusal := command.PermissionDenied, q.Outcome.Refusal
	switch {
	case q.Outcome.Allowed:
		by := permit{hook: q.Hook, expires: q.Outcome.Expires}
		switch c.maySubscribe(name, ch, &by) {
		case nil:
			s.keepPermit(c, ch, by)
			return
		case errNotAsked: // the rules have changed again, and the next sweep sees it
			return
		}
	case refusal == nil || refusal.Temporary:
		code = command.PermissionExpired
	}
	c.withdraw(c.find(ch), code)
}
