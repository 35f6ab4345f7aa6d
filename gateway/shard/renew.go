package shard

import (
	"fleetcast/codec/command"
	"fleetcast/gateway/dialect"
)

// renew lets a subscription last that the client has, by a token that it has shown now. What
// refuses that leaves the subscription as it is. Without a token there is nothing to renew.
func (c *session) renew(number int, name []byte, id command.ID, by *permit) {
	s, sub := c.shard, c.subscriptions[number]
	ch := sub.channel
	err := c.maySubscribe(name, ch, by)
	if by == nil || !by.shown {
		err = errAlreadySubscribed
	}
	if err != nil {
		c.refuseChannel(command.Subscribe, name, err, id)
		return
	}
	// Another token may have been for longer. A hook has the last word.
	if old := c.permitFor(ch); old == nil || old.hook != "" || by.hook != "" || old.expires < by.expires {
		s.keepPermit(c, ch, *by)
	}
	c.reply(dialect.Reply{
		To: command.Subscribe, ID: id, Channel: name, Epoch: ch.epoch[:], Offset: c.reached(sub), Standing: s.lasts(c.permitFor(ch)),
	})
}

// reached is the offset up to which a reply that is sent now comes behind the events of a
// subscription. Replies go ahead of events that wait for the client.
func (c *session) reached(sub subscription) uint64 {
	ch := sub.channel
	if sub.catching {
		return c.caughtUpTo(sub)
	}
	if c.backlog != nil {
		if offset, waits := c.backlog.Before(ch.Stream); waits {
			return offset
		}
	}
	if ch.job != nil && !ch.roster.served(sub.place) {
		return ch.job.events[0].Offset - 1
	}
	return ch.begun
}

// lasts is what a client is told about when a token for a subscription ends, and nil where
// there is no token or it does not end. The result is overwritten by the next call.
func (s *Shard) lasts(by *permit) *command.Standing {
	if by == nil || !by.shown || by.expires == 0 {
		return nil
	}
	s.standing = command.Standing{}
	s.tellEnd(&s.standing, by.expires)
	return &s.standing
}
