package gateway

import (
	"fleetcast/codec/websocket"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/stream"
)

// queue appends events of one channel to the backlog, as the channel's policy
// says; sent bytes of them have left already.
func (c *session) queue(events []*stream.Event, f stream.Format, sent int) {
	of, b := c.shard.gateway.settings.Load(), c.backlog
	policy := events[0].Stream.RuleIn(of.Rules).Slow
	for _, e := range events {
		size := len(e.FrameIn(f))
		switch {
		case sent >= size:
			sent -= size
		case sent > 0:
			b.pushHalf(e, f, policy, sent)
			sent = 0
		default:
			since := b.shard.patrol.now()
			if policy == rules.SlowConflate {
				since = b.supersede(e, &of.Config)
			}
			if policy != rules.SlowDisconnect {
				b.makeRoom(size, &of.Config)
			}
			b.pushEvent(e, f, policy, since)
		}
	}
	c.shard.counters.Deliveries += uint64(len(events))
}

// overrun disconnects a client that does not keep up. The events that wait for it
// are dropped: they would be late, and the client knows from the close code that
// it has missed events.
func (c *session) overrun() {
	c.finish(slowConsumer, websocket.StatusTryAgainLater, "slow consumer")
}
