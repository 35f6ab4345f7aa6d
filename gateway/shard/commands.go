package shard

import (
	"fmt"
	"log/slog"

	"fleetcast/codec/command"
	"fleetcast/gateway/dialect"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/mem"
	"fleetcast/gateway/settings"
	"fleetcast/gateway/stats"
	"fleetcast/gateway/stream"
)

// Refusals of commands that are well formed.
var (
	errAlreadySubscribed = &command.Error{Code: command.AlreadySubscribed, Message: "already subscribed"}
	errNotSubscribed     = &command.Error{Code: command.NotSubscribed, Message: "not subscribed"}
	errTooManyChannels   = &command.Error{Code: command.LimitExceeded, Message: "too many channels on one connection"}
	errOneChannel        = &command.Error{Code: command.BadRequest, Message: "publish: one channel at a time"}
	errFewChannelsLeft   = &command.Error{Code: command.LimitExceeded, Message: "the gateway holds nearly as many channels as it may; clients with fewer subscriptions go first"}
	errStopping          = &command.Error{Code: command.NotAvailable, Message: "the gateway is stopping"}
	errDataTooLong       = &command.Error{Code: command.LimitExceeded, Message: "data is too long"}
)

// tooManySubscriptions is for a client where room is left for none, or only for
// clients that have fewer.
func tooManySubscriptions(limit, room int64) *command.Error {
	if room > 0 {
		return &command.Error{
			Code:    command.LimitExceeded,
			Message: fmt.Sprintf("the gateway holds nearly %d subscriptions, which is its limit; clients with fewer of them go first", limit),
		}
	}
	return &command.Error{
		Code:    command.LimitExceeded,
		Message: fmt.Sprintf("the gateway holds %d subscriptions, which is its limit", limit),
	}
}

// command handles one message of the client. It returns how many channels
// that was about, and how many commands the rate refused; one that asks for nothing is
// charged like those. The answers go to the reply buffer.
func (c *session) command(payload []byte, binary bool) (channels, refused int) {
	cmd := &c.shard.command
	err := c.dialect().Parse(cmd, payload, binary)
	if err == nil && cmd.Type < command.Ping && c.mustAuthenticate() {
		err = errMustAuthenticate
	}
	switch {
	case err != nil:
	case cmd.Type == command.Subscribe && cmd.Token != nil:
		if refusal := c.takeCommand(0); refusal != nil {
			c.refuseChannel(cmd.Type, cmd.Channels[0], refusal, cmd.ID)
			return 1, 1
		}
		c.subscribeByToken(cmd)
		return 1, 0
	case cmd.Type == command.Subscribe || cmd.Type == command.Unsubscribe:
		return len(cmd.Channels), c.eachChannel(cmd, part{payload: payload, binary: binary})
	case cmd.Type == command.Pong:
		return 0, 1
	}
	if refusal := c.takeCommand(0); refusal != nil {
		err, refused = refusal, 1
	}
	switch {
	case err != nil:
		c.refuse(err, cmd)
	case cmd.Type == command.Publish:
		c.publish(cmd, payload, binary)
	case cmd.Type == command.History:
		c.history(cmd)
	case cmd.Type == command.Authenticate:
		c.authenticate(cmd)
	case cmd.Type == command.Ping:
		c.reply(dialect.Reply{To: command.Ping, ID: cmd.ID})
	}
	return len(cmd.Channels), refused
}

// dialect is the session's.
func (c *session) dialect() dialect.Dialect { return c.shard.ledger.Formats.Dialect(c.format) }

// reply appends the answer to a command that was obeyed to the reply buffer.
func (c *session) reply(r dialect.Reply) {
	c.shard.replies = c.dialect().AppendReply(c.shard.replies, r)
}

// takeCommand counts one command. The refusal, if any, says that there were too many. The
// command must then be tried again behind others of its message that were refused.
func (c *session) takeCommand(others int) (refusal *command.Error) {
	rate := &c.shard.shared.Settings.Load().Commands
	if wait := rate.Take(&c.commandsDue, c.shard.Loop.Now()); wait > 0 {
		return rate.Refuse(rate.Behind(wait, others))
	}
	return nil
}

// subscribe starts deliveries behind the position that the reply names, or renews a
// subscription that the client has. start is where the client wants it to begin, by what allows
// it beside the client's identity, or nil.
func (c *session) subscribe(name []byte, id command.ID, start *command.Start, by *permit) {
	s := c.shard
	config := s.shared.Settings.Config()
	if err := command.CheckChannelWithin(name, config.MaxChannelName); err != nil {
		c.refuseChannel(command.Subscribe, name, err, id)
		return
	}
	ch := s.channels[string(name)]
	if ch != nil && c.find(ch) >= 0 {
		c.renew(c.find(ch), name, id, by)
		return
	}
	if err := c.maySubscribe(name, ch, by); err != nil {
		c.refuseChannel(command.Subscribe, name, err, id)
		return
	}
	if err := c.countSubscription(config); err != nil {
		c.refuseChannel(command.Subscribe, name, err, id)
		return
	}
	if ch == nil {
		var err error
		if ch, err = s.openChannel(name, len(c.subscriptions)); err != nil {
			s.shared.subscriptions.Add(-1)
			c.refuseChannel(command.Subscribe, name, err, id)
			return
		}
	}
	reply := dialect.Reply{To: command.Subscribe, ID: id, Channel: name, Epoch: ch.epoch[:], Offset: ch.begun, Standing: s.lasts(by)}
	if !start.IsLive() {
		reply.Offset, s.recovery = s.begin(ch, start)
		reply.Recovery = &s.recovery
	}
	if reply.Offset == ch.begun {
		place := ch.roster.add(c, len(c.subscriptions))
		c.subscriptions = append(c.subscriptions, subscription{channel: ch, place: place})
	} else {
		c.catchUp(ch, reply.Offset)
	}
	ch.Subscribers.Store(int32(ch.subscribers()))
	s.Counters.Subscriptions++
	if by != nil {
		s.keepPermit(c, ch, *by)
	}
	c.reply(reply)
}

// countSubscription counts one more subscription of the client, or refuses that.
func (c *session) countSubscription(config *settings.Config) error {
	if len(c.subscriptions) >= config.ClientChannels {
		return errTooManyChannels
	}
	all, limit := &c.shard.shared.subscriptions, int64(config.MaxSubscriptions)
	if used := all.Add(1) - 1; used >= limit || !stream.Grants(limit-used, len(c.subscriptions)) {
		all.Add(-1)
		return tooManySubscriptions(limit, limit-used)
	}
	return nil
}

func (c *session) unsubscribe(name []byte, id command.ID) {
	s := c.shard
	// Not the limit on names: a client may unsubscribe from a name that was allowed
	// before.
	if err := command.CheckChannel(name); err != nil {
		c.refuseChannel(command.Unsubscribe, name, err, id)
		return
	}
	number := -1
	if ch := s.channels[string(name)]; ch != nil {
		number = c.find(ch)
	}
	if number < 0 {
		c.refuseChannel(command.Unsubscribe, name, errNotSubscribed, id)
		return
	}
	ch := c.subscriptions[number].channel
	c.leave(number)
	if c.backlog != nil {
		c.backlog.Forget(ch.Stream) // the reply goes ahead of events
	}
	c.reply(dialect.Reply{To: command.Unsubscribe, ID: id, Channel: name})
}

// publish sequences a client's event where the configuration allows it.
func (c *session) publish(cmd *command.Command, payload []byte, binary bool) {
	if !c.checkPublish(cmd) {
		return
	}
	s, name := c.shard, cmd.Channels[0]
	account := s.publishing[c]
	if account == nil {
		account = s.shared.Credits.NewAccount(&s.Starved, limits.ByClient)
		s.publishing[c] = account
	}
	rate := &s.shared.Settings.Load().Publishes
	if wait := account.Wait(rate.Bucket, 1, s.Loop.Now()); wait > 0 {
		account.Sent.Errors++
		c.refuseChannel(command.Publish, name, rate.Refuse(wait), cmd.ID)
		return
	}
	c.sequence(cmd, payload, binary, account)
}

// republish is publish for a command that has waited for credit: the rates have
// counted it.
func (c *session) republish(payload []byte, binary bool) {
	cmd := &c.shard.command
	if c.dialect().Parse(cmd, payload, binary) == nil && c.checkPublish(cmd) {
		c.sequence(cmd, payload, binary, c.shard.publishing[c])
	}
}

// checkPublish refuses a command for anything but the rates and credit.
func (c *session) checkPublish(cmd *command.Command) bool {
	s := c.shard
	config, name := s.shared.Settings.Config(), cmd.Channels[0]
	if len(cmd.Channels) > 1 {
		c.refuse(errOneChannel, cmd)
		return false
	}
	err := command.CheckChannelWithin(name, config.MaxChannelName)
	if err == nil {
		err = c.mayPublish(name)
	}
	switch {
	case err != nil:
	case s.drain != drainNot:
		err = errStopping
	case len(cmd.Data) > config.MaxEvent:
		err = errDataTooLong
	default:
		return true
	}
	c.refuseChannel(command.Publish, name, err, cmd.ID)
	return false
}

// sequence publishes an event that may be. Without credit the command waits and
// the client is not read.
func (c *session) sequence(cmd *command.Command, payload []byte, binary bool, account *limits.Account) {
	s, name := c.shard, cmd.Channels[0]
	cost := limits.EventCost(name, nil, cmd.Data)
	if !account.Take(cost) {
		c.starve(payload, binary, account)
		return
	}
	r := s.submit
	r.Begin(c, account, s.Loop.Now())
	r.Require(cmd.Conditions.OrNil())
	r.Submit(name, nil, cmd.Data)
	if r.Settled() {
		c.answerPublish(r, cmd.ID)
		return
	}
	s.submit = r.Keep()
	c.confirmLater(r, cmd.ID)
}

// starve lets a command wait for credit. TCP pushes the client back.
func (c *session) starve(payload []byte, binary bool, account *limits.Account) {
	c.held = &heldInput{starved: append([]byte(nil), payload...), binary: binary, waits: waitCredit}
	c.conn.PauseReading()
	c.shard.Starved.Add(c, account)
}

// Resume handles held input: the command that waited, if one did, then what was read
// behind it. It implements starver.
func (c *session) Resume() {
	held := c.held
	if c.state != sessionOpen || held == nil {
		return // it ended meanwhile
	}
	if held.decision != nil { // it waits for the next one
		c.flushReplies()
		c.noteInput(true)
		return
	}
	c.held = nil
	c.shard.wholeInput = false
	c.lastSeen = seenAt(c.shard.Loop.Now()) // it was us who did not read
	switch {
	case held.part != nil:
		c.goOn(*held.part)
	case held.starved != nil:
		c.republish(held.starved, held.binary)
	}
	if held.rest != nil {
		c.read(held.rest.B)
		mem.GiveBuffer(held.rest)
	}
	c.flushReplies()
	c.noteInput(true)
	if c.held == nil && !c.repliesWait() {
		c.conn.ResumeReading()
	}
}

// refuse answers a command with an error, which is a *command.Error.
func (c *session) refuse(err error, cmd *command.Command) {
	c.answerRefusal(command.RefusalOf(err), dialect.Reply{To: cmd.Type, ID: cmd.ID})
}

// refuseChannel is refuse with a message that names the channel, because a command may
// name many.
func (c *session) refuseChannel(to command.Type, name []byte, err error, id command.ID) {
	named := *command.RefusalOf(err)
	named.Message = nameChannel(to, name, named.Message)
	c.answerRefusal(&named, dialect.Reply{To: to, ID: id, Channel: name})
}

func (c *session) answerRefusal(refusal *command.Error, of dialect.Reply) {
	c.answerRefusalCounted(refusal, of, string(refusal.Code))
}

// nameChannel puts the command and the channel before the text of a refusal.
func nameChannel(to command.Type, name []byte, text string) string {
	return to.String() + " " + command.QuoteChannel(name) + ": " + text
}

// answerRefusalCounted is answerRefusal for a refusal whose code is no label of counters.
func (c *session) answerRefusalCounted(refusal *command.Error, of dialect.Reply, label string) {
	s := c.shard
	s.Counters.CommandErrors[label]++
	if key := (stats.IncidentKey{Metric: stats.MetricCommandErrors, Label: label}); s.Samples.Wants(key) {
		s.Samples.Keep(key, append(c.Identity(), slog.String("message", stats.Clip(refusal.Message)))...)
	}
	s.replies = c.dialect().AppendRefusal(s.replies, of, refusal)
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
	s, sub := c.shard, c.subscriptions[number]
	if sub.catching {
		s.catchers[c].remove(sub.place)
	} else {
		sub.channel.roster.remove(sub.place)
	}
	delete(s.permits[c], sub.channel)
	last := len(c.subscriptions) - 1
	if number != last {
		moved := c.subscriptions[last]
		c.subscriptions[number] = moved
		if moved.catching {
			s.catchers[c].catchUps[moved.place].number = uint32(number)
		} else {
			moved.channel.roster.entries[moved.place].number = uint32(number)
		}
	}
	c.subscriptions[last] = subscription{}
	c.subscriptions = c.subscriptions[:last]

	s.Counters.Subscriptions--
	s.shared.subscriptions.Add(-1)
	sub.channel.Subscribers.Store(int32(sub.channel.subscribers()))
	if sub.channel.subscribers() == 0 {
		s.closeChannel(sub.channel)
	}
}

func (c *session) leaveAll() {
	for len(c.subscriptions) > 0 {
		c.leave(len(c.subscriptions) - 1)
	}
	c.subscriptions = nil
}

// openChannel makes the channel for its first subscriber on this shard, a client
// that has so many subscriptions.
func (s *Shard) openChannel(name []byte, subscriptions int) (*channel, error) {
	if streams := s.shared.Streams; !streams.GrantsNew(subscriptions) && !streams.Has(name) {
		return nil, errFewChannelsLeft
	}
	c := &channel{Interest: stream.Interest{Name: string(name), Port: s.Port}, shard: s}
	c.Owner = c
	p, err := s.shared.Streams.Join(&c.Interest)
	if err != nil {
		return nil, err
	}
	c.epoch, c.begun = p.Epoch, p.Offset
	s.channels[c.Name] = c
	return c, nil
}

// closeChannel drops a channel without subscribers. Events that are still on their way
// to it find no subscriber, and are released in its turn.
func (s *Shard) closeChannel(c *channel) {
	s.shared.Streams.Leave(&c.Interest)
	delete(s.channels, c.Name)
}
