package gateway

import (
	"time"

	"github.com/gobwas/ws"
	"github.com/valyala/bytebufferpool"

	"fleetcast/codec/websocket"
)

const (
	// fanOutSlice is how long a turn fans out before the loop looks at its
	// sockets and its mail again. It bounds what a channel of any size adds to
	// the latency of everything else on the shard.
	fanOutSlice = 500 * time.Microsecond
	// sendsPerClockRead keeps reading the clock cheap beside the sends.
	sendsPerClockRead = 16
	// groupLimit is how many bytes of events go out in one write.
	groupLimit = 64 << 10
)

// job is a fan-out under way: a group of events of one channel, laid out as
// they go onto the wire. Its progress is in the channel's roster.
type job struct {
	events []*event
	bytes  []byte // their frames, one after the other
	joined *bytebufferpool.ByteBuffer
}

// enqueue lets an event wait for its channel's turn.
func (s *shard) enqueue(c *channel, e *event) {
	if c.job == nil && c.waits.len() == 0 {
		s.active.push(c)
	}
	c.waits.push(e)
	s.counters.queued++
}

// fanOut serves the active channels in turn for one slice, and tells whether
// any are left.
func (s *shard) fanOut() (busy bool) {
	if s.active.len() == 0 {
		return false
	}
	end := s.loop.Refresh() + s.slice
	for s.active.len() > 0 {
		c := s.active.pop()
		done := s.serve(c, end)
		if c.job != nil || c.waits.len() > 0 {
			s.active.push(c)
		}
		if !done {
			break
		}
	}
	return s.active.len() > 0
}

// serve fans the channel's next group out, or goes on with the one under way.
// It returns false if the time ran out.
func (s *shard) serve(c *channel, end time.Duration) (done bool) {
	if c.job == nil {
		s.beginJob(c)
	}
	r, j := &c.roster, c.job
	for r.cursor < r.limit {
		subscriber := r.entries[r.cursor].session
		r.cursor++ // first, because a delivery may end the subscription
		subscriber.deliver(j)
		if r.cursor%sendsPerClockRead == 0 && s.loop.Refresh() >= end && r.cursor < r.limit {
			s.counters.fanOutCuts++
			return false
		}
	}
	s.loop.Refresh()
	s.endJob(c)
	return s.loop.Now() < end
}

// beginJob groups the events that wait. Whoever subscribes from here on starts
// behind them.
func (s *shard) beginJob(c *channel) {
	j := s.takeJob()
	size := 0
	for c.waits.len() > 0 {
		e := *c.waits.at(0)
		if size += len(e.frame); size > groupLimit && len(j.events) > 0 {
			break
		}
		j.events = append(j.events, c.waits.pop())
	}
	if len(j.events) == 1 {
		j.bytes = j.events[0].frame
	} else {
		j.joined = takeBuffer(size)
		for _, e := range j.events {
			j.joined.B = append(j.joined.B, e.frame...)
		}
		j.bytes = j.joined.B
	}
	c.job = j
	c.begun = j.events[len(j.events)-1].offset
	c.roster.begin()
}

func (s *shard) endJob(c *channel) {
	j := c.job
	c.job = nil
	c.roster.end()
	s.counters.queued -= int64(len(j.events))
	for _, e := range j.events {
		s.counters.publishToWrite.observe(s.loop.Now()-e.at, 1)
		e.served()
	}
	s.keepJob(j)
}

func (s *shard) takeJob() *job {
	if n := len(s.jobs); n > 0 {
		j := s.jobs[n-1]
		s.jobs = s.jobs[:n-1]
		return j
	}
	return new(job)
}

func (s *shard) keepJob(j *job) {
	if j.joined != nil {
		giveBuffer(j.joined)
	}
	clear(j.events)
	*j = job{events: j.events[:0]}
	s.jobs = append(s.jobs, j)
}

// deliver gives a group to one subscriber: one write if it keeps up.
func (c *session) deliver(j *job) {
	if c.state != sessionOpen {
		return
	}
	counters := &c.shard.counters
	if c.backlog != nil {
		c.queue(j.events, 0)
		return
	}
	n, err := c.conn.Send(j.bytes)
	if err != nil {
		c.vanish(err)
		return
	}
	counters.writes++
	counters.bytesOut += uint64(n)
	if n == len(j.bytes) {
		counters.deliveries += uint64(len(j.events))
		return
	}
	c.lag()
	c.queue(j.events, n)
}

// queue appends events to the backlog; sent bytes of them have left already. It
// applies the limits: a backlog that is empty takes one event of any size.
func (c *session) queue(events []*event, sent int) {
	config, b := c.shard.gateway.config(), c.backlog
	for _, e := range events {
		size := len(e.frame)
		if sent >= size {
			sent -= size
			c.shard.counters.deliveries++
			continue
		}
		if b.events > 0 && (b.events >= config.BacklogMessages || b.bytes+size-sent > config.BacklogBytes) {
			c.overrun()
			return
		}
		b.pushEvent(e, sent, c.shard.loop.Now())
		c.shard.counters.deliveries++
		sent = 0
	}
}

// overrun disconnects a client that does not keep up. What waits for it is
// dropped: it would be late, and the client knows from the close code that it
// has missed events.
func (c *session) overrun() {
	c.backlog.cut()
	c.finish(slowConsumer, websocket.StatusTryAgainLater, "slow consumer")
}

// keep-alive frame without a payload; the pong that answers it is any byte.
var pingFrame = websocket.AppendFrame(nil, ws.OpPing, nil)
