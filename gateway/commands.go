package gateway

import (
	"errors"

	"fleetcast/codec/command"
)

// Refusals of commands that are well formed.
var (
	errAlreadySubscribed = &command.Error{Code: command.AlreadySubscribed, Message: "already subscribed"}
	errNotSubscribed     = &command.Error{Code: command.NotSubscribed, Message: "not subscribed"}
	errTooManyChannels   = &command.Error{Code: command.LimitExceeded, Message: "too many channels on one connection"}
	errOneChannel        = &command.Error{Code: command.BadRequest, Message: "publish: one channel at a time"}
	errMayNotPublish     = &command.Error{Code: command.PermissionDenied, Message: "clients may not publish to this channel"}
	errStopping          = &command.Error{Code: command.NotAvailable, Message: "the gateway is stopping"}
	errDataTooLong       = &command.Error{Code: command.LimitExceeded, Message: "data is too long"}
)

// command handles one text message of the client. The answers go to the reply
// buffer.
func (c *session) command(payload []byte) {
	s := c.shard
	cmd := &s.command
	if err := cmd.Parse(payload); err != nil {
		c.refuse(err, cmd.ID)
		return
	}
	switch cmd.Type {
	case command.Subscribe:
		for _, name := range cmd.Channels {
			c.subscribe(name, cmd.ID)
		}
	case command.Unsubscribe:
		for _, name := range cmd.Channels {
			c.unsubscribe(name, cmd.ID)
		}
	case command.Publish:
		c.publish(cmd, payload)
	case command.Ping:
		start := s.beginReply()
		s.replies = command.AppendPong(s.replies, cmd.ID)
		s.endReply(start)
	}
}

// subscribe starts deliveries behind the position that the reply names.
func (c *session) subscribe(name []byte, id command.ID) {
	s := c.shard
	if err := command.CheckChannel(name); err != nil {
		c.refuseChannel("subscribe", name, err, id)
		return
	}
	ch := s.channels[string(name)]
	switch {
	case ch != nil && c.find(ch) >= 0:
		c.refuseChannel("subscribe", name, errAlreadySubscribed, id)
		return
	case len(c.subscriptions) >= s.gateway.config().ClientChannels:
		c.refuseChannel("subscribe", name, errTooManyChannels, id)
		return
	case ch == nil:
		var err error
		if ch, err = s.openChannel(name); err != nil {
			c.refuseChannel("subscribe", name, err, id)
			return
		}
	}
	place := ch.roster.add(c, len(c.subscriptions))
	c.subscriptions = append(c.subscriptions, subscription{ch, place})
	ch.subscribers.Store(int32(len(ch.roster.entries)))
	s.counters.subscriptions++

	start := s.beginReply()
	s.replies = command.AppendSubscribed(s.replies, id, name, ch.epoch[:], ch.begun)
	s.endReply(start)
}

func (c *session) unsubscribe(name []byte, id command.ID) {
	s := c.shard
	if err := command.CheckChannel(name); err != nil {
		c.refuseChannel("unsubscribe", name, err, id)
		return
	}
	number := -1
	if ch := s.channels[string(name)]; ch != nil {
		number = c.find(ch)
	}
	if number < 0 {
		c.refuseChannel("unsubscribe", name, errNotSubscribed, id)
		return
	}
	ch := c.subscriptions[number].channel
	c.leave(number)
	if c.backlog != nil {
		c.backlog.forget(ch.stream) // the reply goes ahead of events
	}
	start := s.beginReply()
	s.replies = command.AppendUnsubscribed(s.replies, id, name)
	s.endReply(start)
}

// publish sequences a client's event where the configuration allows it. Without
// credit the command waits and the client is not read.
func (c *session) publish(cmd *command.Command, payload []byte) {
	s := c.shard
	config, name := s.gateway.config(), cmd.Channels[0]
	switch {
	case len(cmd.Channels) > 1:
		c.refuse(errOneChannel, cmd.ID)
		return
	case command.CheckChannel(name) != nil:
		c.refuseChannel("publish", name, command.CheckChannel(name), cmd.ID)
		return
	case !config.ClientPublish.Match(name):
		c.refuseChannel("publish", name, errMayNotPublish, cmd.ID)
		return
	case s.drain != drainNot:
		c.refuseChannel("publish", name, errStopping, cmd.ID)
		return
	case len(cmd.Data) > config.MaxEvent:
		c.refuseChannel("publish", name, errDataTooLong, cmd.ID)
		return
	}
	account := s.publishing[c]
	if account == nil {
		account = s.gateway.newAccount(&s.starved)
		s.publishing[c] = account
	}
	cost := eventCost(name, nil, cmd.Data)
	if !account.take(cost) {
		c.starve(payload, account)
		return
	}
	p, err := s.gateway.streams.publish(name, nil, cmd.Data, account, cost, s.loop.Now(), &s.wakes)
	if err != nil {
		c.refuseChannel("publish", name, err, cmd.ID)
		return
	}
	s.counters.published++
	start := s.beginReply()
	s.replies = command.AppendPublished(s.replies, cmd.ID, name, p.offset)
	s.endReply(start)
}

// starve lets a command wait for credit. TCP pushes the client back.
func (c *session) starve(payload []byte, account *account) {
	c.held = &heldInput{starved: append([]byte(nil), payload...)}
	c.conn.PauseReading()
	c.shard.starved.add(c, account)
}

// resume handles what was held: the command that waited, if one did, then what
// was read behind it. It implements starver.
func (c *session) resume() {
	held := c.held
	if c.state != sessionOpen || held == nil {
		return // it ended meanwhile
	}
	c.held = nil
	c.lastSeen = seenAt(c.shard.loop.Now()) // it was us who did not read
	if held.starved != nil {
		c.command(held.starved)
	}
	if held.rest != nil {
		c.read(held.rest.B)
		giveBuffer(held.rest)
	}
	c.flushReplies()
	if c.held == nil && !c.repliesWait() {
		c.conn.ResumeReading()
	}
}

// refuse answers a command with an error, which is a *command.Error.
func (c *session) refuse(err error, id command.ID) {
	s := c.shard
	refusal := refusalOf(err)
	s.counters.commandErrors[refusal.Code]++
	start := s.beginReply()
	s.replies = command.AppendError(s.replies, id, refusal.Code, refusal.Message)
	s.endReply(start)
}

// refuseChannel is refuse with a message that says what was asked for: a
// command may name many channels.
func (c *session) refuseChannel(verb string, name []byte, err error, id command.ID) {
	refusal := refusalOf(err)
	c.refuse(&command.Error{Code: refusal.Code, Message: verb + " " + command.QuoteChannel(name) + ": " + refusal.Message}, id)
}

// refusalOf returns what a client or publisher is told of err.
func refusalOf(err error) *command.Error {
	var refusal *command.Error
	if errors.As(err, &refusal) {
		return refusal
	}
	return &command.Error{Code: command.Internal, Message: err.Error()}
}

// find returns the number of the session's subscription to ch, or -1.
func (c *session) find(ch *channel) int {
	for i := range c.subscriptions {
		if c.subscriptions[i].channel == ch {
			return i
		}
	}
	return -1
}

// leave ends the subscription of that number. The last one takes its number.
func (c *session) leave(number int) {
	sub := c.subscriptions[number]
	sub.channel.roster.remove(sub.place)
	last := len(c.subscriptions) - 1
	if number != last {
		moved := c.subscriptions[last]
		c.subscriptions[number] = moved
		moved.channel.roster.entries[moved.place].number = uint32(number)
	}
	c.subscriptions[last] = subscription{}
	c.subscriptions = c.subscriptions[:last]

	s := c.shard
	s.counters.subscriptions--
	sub.channel.subscribers.Store(int32(len(sub.channel.roster.entries)))
	if len(sub.channel.roster.entries) == 0 {
		s.closeChannel(sub.channel)
	}
}

func (c *session) leaveAll() {
	for len(c.subscriptions) > 0 {
		c.leave(len(c.subscriptions) - 1)
	}
	c.subscriptions = nil
}

// openChannel makes the channel for its first subscriber on this shard.
func (s *shard) openChannel(name []byte) (*channel, error) {
	c := &channel{name: string(name), shard: s}
	p, err := s.gateway.streams.join(c)
	if err != nil {
		return nil, err
	}
	c.epoch, c.begun = p.epoch, p.offset
	s.channels[c.name] = c
	return c, nil
}

// closeChannel lets go of a channel without subscribers. Events that are still
// on their way to it find nobody and are released in its turn.
func (s *shard) closeChannel(c *channel) {
	s.gateway.streams.leave(c)
	delete(s.channels, c.name)
}
