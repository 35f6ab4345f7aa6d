package shard

import (
	"fleetcast/codec/command"
	"fleetcast/gateway/dialect"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/stream"
)

var errHistoryOfHook = &command.Error{Code: command.PermissionDenied, Message: "the application decides who may have this channel; subscribe first"}

// history answers a client's question for earlier events of a channel. Those may ask that may
// subscribe to it (where a hook decides about that, those that are subscribed), and those whose
// token grants the history.
func (c *session) history(cmd *command.Command) {
	s, name := c.shard, cmd.Channels[0]
	if err := c.mayRead(name); err != nil {
		c.refuseChannel(command.History, name, err, cmd.ID)
		return
	}
	q := stream.PageQuery{Since: cmd.Start.Since, HasSince: cmd.Start.HasSince, Before: cmd.Before, Limit: int(cmd.Limit)}
	epoch, passed, ok := s.shared.Streams.Page(name, q, s.Loop.Now(), &s.page, &s.pageData)
	s.historyWork += limits.PassedWork * passed
	reply := dialect.Reply{To: command.History, ID: cmd.ID, Channel: name, Page: &s.page}
	if ok {
		reply.Epoch = epoch[:]
	}
	for i := range s.page.Events {
		s.historyWork += limits.KeptWork + len(s.page.Events[i].Data)/limits.KeptBytes
	}
	c.reply(reply)
}

// mayRead returns why the client may not have the history of a channel, or nil.
func (c *session) mayRead(name []byte) error {
	config := c.shard.shared.Settings.Config()
	if err := command.CheckChannelWithin(name, config.MaxChannelName); err != nil {
		return err
	}
	ch := c.shard.channels[string(name)]
	if ch != nil && c.find(ch) >= 0 {
		return nil
	}
	err := c.maySubscribe(name, ch, nil)
	if err == nil || err == errSubscribeNobody {
		return err
	}
	c.shard.ruled += c.who().Grants.HistoryWork(name)
	switch {
	case c.who().MayRead(name):
		return nil
	case err == errNotAsked:
		return errHistoryOfHook
	}
	return err
}
