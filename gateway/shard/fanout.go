package shard

import (
	"time"

	"github.com/valyala/bytebufferpool"

	"fleetcast/gateway/mem"
	"fleetcast/gateway/stream"
)

const (
	// fanOutSlice is how long a turn fans out before the loop looks at its
	// sockets and its mail again.
	fanOutSlice = 500 * time.Microsecond
	// mostFanOut is how long it does so if everything else takes longer than a slice. It
	// bounds what a channel of any size adds to the latency of everything else on the shard.
	mostFanOut = 2 * time.Millisecond
	// sendsPerClockRead keeps reading the clock cheap beside the sends.
	sendsPerClockRead = 16
	// groupLimit is how many bytes of events go out in one write.
	groupLimit = 64 << 10
)

// job is a fan-out under way: a group of events of one channel. It is laid out in a
// format, as it goes onto the wire, when the first subscriber of that format is
// reached. Its progress is in the channel's roster.
type job struct {
	events  []*stream.Event
	layouts []layout // by format
}

// layout is a job's frames in one format, one after the other.
type layout struct {
	ready  bool
	format stream.Format // of the frames: not compressed on channels that are not
	bytes  []byte
	joined *bytebufferpool.ByteBuffer // in which several frames lie
}

// progress is how far a turn has got with a channel.
type progress uint8

const (
	progressDone   progress = iota // its group is served
	progressCut                    // the time ran out
	progressParked                 // it waits for a frame that a goroutine or another shard builds
)

// enqueue lets an event wait for its channel's turn.
func (s *Shard) enqueue(c *channel, e *stream.Event) {
	if c.job == nil && c.waits.Len() == 0 {
		s.fresh.Push(c)
	}
	c.waits.Push(e)
	s.Counters.QueuedEvents++
}

// fanOut serves the channels that have events for one slice, and tells whether any are
// left. Channels that had no turn yet go first, for at most half of the slice if others
// wait to continue. So a small channel does not wait for a large one, and many small
// ones do not stop a large one.
func (s *Shard) fanOut() (busy bool) {
	if s.nothingToFanOut() {
		return false
	}
	slice := s.shareOfTurn(s.Loop.Refresh())
	end := s.Loop.Now() + slice
	if s.active.Len() > 0 {
		s.fanOutOf(&s.fresh, end-slice/2)
		s.fanOutOf(&s.active, end)
	}
	if s.Loop.Now() < end || s.active.Len() == 0 {
		s.fanOutOf(&s.fresh, end)
	}
	s.fannedOut = s.Loop.Now()
	return !s.nothingToFanOut()
}

// shareOfTurn is for how long to fan out now: one slice, or as long as the turn has worked
// for something else. When thousands of clients connect, each turn is full of handshakes,
// and with one slice of each the events would wait several times as long.
func (s *Shard) shareOfTurn(now time.Duration) time.Duration {
	if s.slice == 0 {
		return 0
	}
	others := now - max(s.fannedOut, s.Loop.TurnBegan())
	return max(s.slice, min(others, mostFanOut))
}

// nothingToFanOut tells whether no channel has anything to fan out now.
func (s *Shard) nothingToFanOut() bool { return s.fresh.Len() == 0 && s.active.Len() == 0 }

// fanOutOf serves the channels of a list in turn, at least one if there is any,
// up to a moment of the loop's clock.
func (s *Shard) fanOutOf(list *mem.Ring[*channel], end time.Duration) {
	for list.Len() > 0 {
		c := list.Pop()
		switch got := s.serve(c, end); {
		case got == progressParked:
			s.parked++
			s.Loop.Refresh() // there may be many of them
		case c.job != nil || c.waits.Len() > 0:
			s.active.Push(c)
		}
		if s.Loop.Now() >= end {
			return
		}
	}
}

// unpark continues with a channel whose frame is there now.
func (s *Shard) unpark(c *channel) {
	s.parked--
	s.fresh.Push(c)
}

// serve fans out the channel's next group, or continues with the one under way.
func (s *Shard) serve(c *channel, end time.Duration) progress {
	if c.job == nil {
		s.beginJob(c)
	}
	r, j := &c.roster, c.job
	for r.cursor < r.limit {
		subscriber := r.entries[r.cursor].session
		l := &j.layouts[subscriber.format]
		if !l.ready {
			if got := s.layOut(c, subscriber.format, end); got != progressDone {
				return got
			}
		}
		r.cursor++                        // first, because a delivery may end the subscription
		lags := subscriber.backlog != nil // each event costs work here
		subscriber.deliver(j, l)
		if (lags || r.cursor%sendsPerClockRead == 0) && s.Loop.Refresh() >= end && r.cursor < r.limit {
			s.Counters.FanOutCuts++
			return progressCut
		}
	}
	s.Loop.Refresh()
	s.endJob(c)
	return progressDone
}

// beginJob groups the events that wait. Clients that subscribe from here on start
// behind them.
func (s *Shard) beginJob(c *channel) {
	j := s.takeJob()
	size := 0
	for c.waits.Len() > 0 {
		e := *c.waits.At(0)
		if size += len(e.Frame); size > groupLimit && len(j.events) > 0 {
			break
		}
		j.events = append(j.events, c.waits.Pop())
	}
	c.job = j
	c.begun = j.events[len(j.events)-1].Offset
	c.roster.begin()
}

// layOut lays out the channel's job in a format. It compresses events for that as long
// as there is time. The rest is compressed in the next turn or by a goroutine.
func (s *Shard) layOut(c *channel, f stream.Format, end time.Duration) progress {
	j, l := c.job, &c.job.layouts[f]
	if f != stream.FormatPlain {
		of := s.shared.Settings.Load()
		k := of.Compression
		if plain := s.ledger.Formats.Plain(f); f != plain && !c.Stream.RuleIn(of.Rules).Compress {
			other := &j.layouts[plain]
			if !other.ready {
				if got := s.layOut(c, plain, end); got != progressDone {
					return got
				}
			}
			*l = layout{ready: true, format: plain, bytes: other.bytes}
			return progressDone
		}
		if got := s.build(c, k, f, end); got != progressDone {
			return got
		}
	}
	s.concatenate(j, l, f)
	return progressDone
}

// build makes each event of the channel's job in a format other than FormatPlain, unless
// it exists already.
func (s *Shard) build(c *channel, k *stream.Compression, f stream.Format, end time.Duration) progress {
	var awaited *stream.Variant
	for i, e := range c.job.events {
		v, worked := k.Build(e, f)
		if awaited == nil && !v.IsBuilt() {
			awaited = v
		}
		if worked && s.Loop.Refresh() >= end && i+1 < len(c.job.events) {
			s.Counters.FanOutCuts++
			return progressCut
		}
	}
	switch {
	case awaited == nil:
		return progressDone
	case awaited.Await(&c.Interest):
		return progressParked
	}
	return s.build(c, k, f, end) // it was built in this moment; the next one may be or not
}

// concatenate puts the frames of a job one after the other, in a format in which all of them
// exist.
func (s *Shard) concatenate(j *job, l *layout, f stream.Format) {
	l.ready, l.format = true, f
	if len(j.events) == 1 {
		l.bytes = j.events[0].FrameIn(f)
		return
	}
	size := 0
	for _, e := range j.events {
		size += len(e.FrameIn(f))
	}
	l.joined = mem.TakeBuffer(size)
	for _, e := range j.events {
		l.joined.B = append(l.joined.B, e.FrameIn(f)...)
	}
	l.bytes = l.joined.B
}

func (s *Shard) endJob(c *channel) {
	j := c.job
	c.job = nil
	c.roster.end()
	s.Counters.QueuedEvents -= int64(len(j.events))
	for _, e := range j.events {
		s.Counters.PublishToWrite.Observe(s.Loop.Now()-e.At, 1)
		e.Served()
	}
	s.keepJob(j)
}

func (s *Shard) takeJob() *job {
	if n := len(s.jobs); n > 0 {
		j := s.jobs[n-1]
		s.jobs = s.jobs[:n-1]
		return j
	}
	return &job{layouts: make([]layout, s.ledger.Formats.Count())}
}

func (s *Shard) keepJob(j *job) {
	for i := range j.layouts {
		if joined := j.layouts[i].joined; joined != nil {
			mem.GiveBuffer(joined)
		}
	}
	clear(j.events)
	clear(j.layouts)
	j.events = j.events[:0]
	s.jobs = append(s.jobs, j)
}

// deliver gives a group to one subscriber, in its format: one write if it keeps
// up.
func (c *session) deliver(j *job, l *layout) {
	if c.state != sessionOpen {
		return
	}
	counters := &c.shard.Counters
	if c.backlog != nil {
		c.queue(j.events, l.format, 0)
		return
	}
	n, err := c.conn.Send(l.bytes)
	if err != nil {
		c.conn.Close(err)
		return
	}
	counters.Writes++
	counters.BytesOut += uint64(n)
	if n == len(l.bytes) {
		counters.Deliveries += uint64(len(j.events))
		return
	}
	c.lag()
	c.queue(j.events, l.format, n)
}
