package gateway

import (
	"github.com/gobwas/ws"

	"fleetcast/codec/command"
	"fleetcast/poller"
)

// drainState is how far a shard has come on its way to an empty fleet. It only
// moves down this list; see shard.continueDrain.
type drainState uint8

const (
	drainNot       drainState = iota
	drainFinishing            // no new clients; events that were accepted still go out
	drainLeaving              // everyone was told; backlogs leave, clients close
	drainDone                 // nobody is left
)

// startDrain stops accepting and begins to send the clients away. done is
// called when the last one is gone.
func (s *shard) startDrain(done func()) {
	s.drain, s.drained = drainFinishing, done
	s.loop.CloseListeners()
}

// continueDrain takes the next step when the last one is through.
func (s *shard) continueDrain() {
	if s.drain == drainFinishing && s.active.len() == 0 && s.parked == 0 && s.mailbox.Empty() {
		s.drain = drainLeaving
		s.loop.EachConn(func(h poller.Handler) { h.(*session).sendAway() })
	}
	if s.drain == drainLeaving && s.loop.Conns() == 0 {
		s.drain = drainDone
		s.drained()
	}
}

// sendAway says goodbye and closes. Clients come back at times spread over the
// configured window, so that whoever takes over is not stormed.
func (c *session) sendAway() {
	switch c.state {
	case sessionHandshaking:
		c.refuseHandshake(errDraining)
	case sessionOpen:
		s := c.shard
		window := uint64(s.gateway.config().RetryWindow.Milliseconds())
		start := s.beginReply()
		s.replies = command.AppendGoodbye(s.replies, "draining", s.random.Uint64()%(window+1))
		s.endReply(start)
		c.finishBehind(draining, ws.StatusGoingAway, "draining")
	}
}
