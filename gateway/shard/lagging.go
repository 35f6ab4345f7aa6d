package shard

import (
	"fleetcast/codec/websocket"
	"fleetcast/gateway/stream"
)

// lagging lists the sessions of one shard that have a backlog, in no order. So a search
// for them need not look at all sessions. The shard owns it.
type lagging []*session

func (l *lagging) add(c *session) {
	c.backlog.Place = uint32(len(*l))
	*l = append(*l, c)
}

// remove takes out a session, which must still have its backlog. The last one takes its
// place.
func (l *lagging) remove(c *session) {
	last := len(*l) - 1
	moved := (*l)[last]
	(*l)[c.backlog.Place] = moved
	moved.backlog.Place = c.backlog.Place
	(*l)[last] = nil
	*l = (*l)[:last]
	if last == 0 {
		*l = nil // after a storm the list may be long
	}
}

// Listed is how many clients have a backlog, those included that are about to go.
func (s *Shard) Listed() int { return len(s.lagging) }

// queue appends events of one channel to the backlog, by the channel's policy. The
// first sent bytes of them have left already.
func (c *session) queue(events []*stream.Event, f stream.Format, sent int) {
	of := c.shard.shared.Settings.Load()
	c.backlog.Queue(events, f, events[0].Stream.RuleIn(of.Rules).Slow, sent, &of.Config)
	c.shard.Counters.Deliveries += uint64(len(events))
}

// overrun disconnects a client that does not keep up. The events that wait for it are
// dropped. They would be late, and the close code tells the client that it has missed
// events.
func (c *session) overrun() {
	c.finish(SlowConsumer, websocket.StatusTryAgainLater, "slow consumer")
}
