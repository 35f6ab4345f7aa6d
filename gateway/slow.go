package gateway

import (
	"fleetcast/codec/websocket"
	"fleetcast/gateway/stream"
)

// queue appends events of one channel to the backlog, by the channel's policy. The
// first sent bytes of them have left already.
func (c *session) queue(events []*stream.Event, f stream.Format, sent int) {
	of := c.shard.shared.settings.Load()
	c.backlog.Queue(events, f, events[0].Stream.RuleIn(of.Rules).Slow, sent, &of.Config)
	c.shard.counters.Deliveries += uint64(len(events))
}

// overrun disconnects a client that does not keep up. The events that wait for it are
// dropped. They would be late, and the close code tells the client that it has missed
// events.
func (c *session) overrun() {
	c.finish(slowConsumer, websocket.StatusTryAgainLater, "slow consumer")
}
