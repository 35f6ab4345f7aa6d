package shard

import (
	"errors"
	"time"

	"fleetcast/gateway/backlog"
)

var (
	errSilent    = errors.New("client is silent")
	errImpatient = errors.New("client did not close in time")
)

// Swept implements poller.Handler: once per ping interval, spread evenly over
// all sessions.
func (c *session) Swept() {
	switch {
	case c.state == sessionOpen:
	case c.state == sessionClosing && c.reason == Draining && c.stalls():
		c.conn.Reset() // or the drain would wait for it
		c.conn.Close(errSilent)
		return
	default:
		return
	}
	if c.identityOver() || c.overdue() {
		return
	}
	c.endPermits()
	c.checkSubscriptions()
	c.shard.shared.Settings.Load().Commands.Settle(&c.commandsDue, c.shard.Loop.Now())
	if b := c.backlog; b == nil || !b.Pinging {
		c.write(backlog.OwnPing, c.dialect().AppendPing(c.shard.replies[:0]))
	}
	// A ping goes ahead of the events that wait, but behind what the kernel has of
	// them. It leaves when the client reads, and that it reads is the sign of life
	// that a ping asks for. One that reads nothing for a whole interval and the time
	// for a pong is gone.
	if c.stalls() {
		c.silent()
	}
}

// stalls tells whether the client has taken nothing from its backlog for so long that
// it counts as gone.
func (c *session) stalls() bool {
	config, b := c.shard.shared.Settings.Config(), c.backlog
	return b != nil && c.shard.Loop.Now()-b.Progress >= config.PingInterval+config.PongTimeout
}

// pinged is called when a ping has left.
func (c *session) pinged() { c.shard.pongs.Add(c, c.shard.Loop.Now()) }

// pongDue judges a client some time after it was pinged. Any byte that came or
// left the backlog since counts as a sign of life. A client that is not read cannot
// show any.
func (c *session) pongDue(pinged time.Duration) {
	switch {
	case c.state != sessionOpen || c.held != nil || c.backlog != nil || c.lastSeen.after(pinged):
	case c.pingUnderWay():
		c.pinged()
	default:
		c.silent()
	}
}

// pingUnderWay tells whether the kernel may have sent the client's ping less than a
// pong timeout ago, because other bytes were before it. That takes longer on a slow
// line. Bytes that were sent before must be out after SlowAfter, as far as the gateway
// can know.
func (c *session) pingUnderWay() bool {
	config := c.shard.shared.Settings.Config()
	if c.lastSeen.since(c.shard.Loop.Now()) > config.PingInterval+config.PongTimeout+config.SlowAfter {
		return false
	}
	traffic, err := c.conn.Traffic()
	return err == nil && !traffic.Lost && (traffic.Unsent > 0 || traffic.Quiet < config.PongTimeout-pongGrain)
}

// pongGrain is how much earlier than the gateway the kernel may count a ping as sent.
const pongGrain = 20 * time.Millisecond

func (c *session) silent() {
	c.sampleEnd(PingTimeout)
	c.reason = PingTimeout
	c.conn.Close(errSilent)
}
