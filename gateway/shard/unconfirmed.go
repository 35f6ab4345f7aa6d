package shard

import (
	"fleetcast/codec/command"
	"fleetcast/gateway/dialect"
	"fleetcast/gateway/stream"
)

// unconfirmed is an event of a client that an engine has not completed. Until then the
// client is not read. So its replies keep their order, no event overtakes a reply, and
// there is at most one such event.
type unconfirmed struct {
	request *stream.Request
	id      command.ID
}

// answerPublish answers a publish with what became of it.
func (c *session) answerPublish(r *stream.Request, id command.ID) {
	s, result := c.shard, &r.Results[0]
	if refusal := r.Refusal(); refusal != nil {
		s.publishing[c].Sent.Errors++
		c.refuseChannel(command.Publish, result.Channel, refusal, id)
		return
	}
	reply := dialect.Reply{To: command.Publish, ID: id, Channel: result.Channel, Offset: result.At.Offset}
	if r.Conditional() {
		reply.Epoch, reply.Duplicate = result.At.Epoch[:], result.At.Duplicate
	}
	c.reply(reply)
}

// confirmLater makes the client wait for an engine.
func (c *session) confirmLater(r *stream.Request, id command.ID) {
	c.held = &heldInput{waits: waitEngine}
	c.conn.PauseReading()
	c.shard.unconfirmed[c] = unconfirmed{r, id}
}

// Post implements stream.Submitter.
func (c *session) Post(f func()) { c.shard.Post(f) }

func (c *session) Settled(r *stream.Request) {
	id := c.shard.unconfirmed[c].id
	delete(c.shard.unconfirmed, c)
	c.answerPublish(r, id)
	c.Resume()
}

// abandonPublish forgets what is not confirmed, if anything is.
func (c *session) abandonPublish() (was unconfirmed, ok bool) {
	if was, ok = c.shard.unconfirmed[c]; ok {
		delete(c.shard.unconfirmed, c)
		was.request.Abandon()
	}
	return was, ok
}

// giveUpPublish answers an event that is not confirmed: it may have been published or
// not.
func (c *session) giveUpPublish() {
	if was, ok := c.abandonPublish(); ok {
		c.answerPublish(was.request, was.id)
	}
}

// allConfirmed tells whether nothing of any client is unconfirmed, which a drain waits
// for, but not for long.
func (s *Shard) allConfirmed() bool {
	for c := range s.unconfirmed {
		if s.Loop.Now() < s.drainBy {
			break
		}
		c.giveUpPublish()
		c.Resume()
	}
	return len(s.unconfirmed) == 0
}
