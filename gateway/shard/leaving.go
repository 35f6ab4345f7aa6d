package shard

import (
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway/ingest"
	"fleetcast/poller"
)

// drainState is how far a shard has come on its way to an empty fleet. It only
// moves down this list; see shard.continueDrain.
type drainState uint8

const (
	drainNot       drainState = iota
	drainRefusing             // no new clients, no publishes of clients; handshakes under way are refused
	drainFinishing            // events that were accepted still go out
	drainReady                // nothing is under way; other shards may still be at it
	drainLeaving              // clients are sent away in turn; backlogs leave, clients close
	drainDone                 // no client is left
)

// leaveGrain is the least time between two turns that send clients away, so
// that a large fleet does not cost a wake-up for each of them.
const leaveGrain = 5 * time.Millisecond

// LeavePlan is the plan by which all shards send their clients away.
type LeavePlan struct {
	Began       time.Duration // by the loops' clock
	Window      time.Duration // over which clients are closed
	RetryWindow time.Duration // over which they are told to come back
}

// leaving is a shard's walk over its clients to send them away. Each has a slot: client
// k of n is closed at k/n of the window and told to come back after k/n of the other
// window. So both the closes and the returns of a shard are spread evenly, and those of
// several shards are interleaved.
type leaving struct {
	LeavePlan
	offset  float64 // of this shard's slots, in slots: less than one
	clients int     // n
	told    int     // k
	cursor  int     // the connection's slot where the walk continues; -1 behind the last
}

// slot is where the next client stands in the order of all: from 0 to 1.
func (l *leaving) slot() float64 {
	return min((float64(l.told)+l.offset)/float64(max(l.clients, 1)), 1)
}

// due is when the next client is sent away.
func (l *leaving) due() time.Duration {
	return l.Began + time.Duration(l.slot()*float64(l.Window))
}

// retryAfter is how long after its goodbye the next client must come back.
func (l *leaving) retryAfter() time.Duration {
	return time.Duration(l.slot() * float64(l.RetryWindow))
}

// parting are a shard's clients that were told to go, have not closed in time, and
// still take bytes that were sent before.
type parting map[*session]sentThen

// sentThen is what the kernel had counted of a client, at a moment of the loop's
// clock.
type sentThen struct {
	sent, acked uint64
	at, since   time.Duration // then, and when its patience was over for the first time
}

// waitFor tells whether to wait again for a client that was told to go and has not
// closed. The gateway waits as long as its last bytes for the client still move,
// because a reset would destroy them. A slow line needs that time. Unless the gateway
// itself stops, the wait ends after SlowAfter.
func (s *Shard) waitFor(c *session) bool {
	now := s.Loop.Now()
	before, waited := s.parting[c]
	if waited && now-before.at < ClosePatience {
		return true // its patience was counted twice
	}
	if !waited {
		before.since = now
	}
	traffic, err := c.conn.Traffic()
	justLeft := traffic.Quiet < ClosePatience/2
	switch {
	case err != nil,
		traffic.Unsent == 0 && traffic.InFlight == 0 && !justLeft,
		waited && traffic.Sent == before.sent && traffic.Acked == before.acked,
		c.reason != Draining && now-before.since > s.shared.Settings.Config().SlowAfter:
		delete(s.parting, c)
		return false
	}
	if s.parting == nil {
		s.parting = make(parting)
	}
	s.parting[c] = sentThen{traffic.Sent, traffic.Acked, now, before.since}
	s.closing.Add(c, now)
	return true
}

// StartDrain stops accepting clients and their publishes. done is called when
// everything that was accepted before has gone out.
func (s *Shard) StartDrain(done func()) {
	s.drain, s.drained, s.drainBy = drainRefusing, done, s.Loop.Now()+ingest.DrainPatience
	s.Loop.CloseListeners()
	s.turnAwayWaiting()
}

// StartLeaving begins to send the clients away. done is called when the last
// one is gone.
func (s *Shard) StartLeaving(plan LeavePlan, done func()) {
	s.drain, s.drained = drainLeaving, done
	s.leaving = leaving{
		LeavePlan: plan,
		offset:    float64(s.Port.Index) / float64(len(s.shared.Shards)),
		clients:   int(s.Counters.Clients),
	}
}

// continueDrain takes the next step when the last one is done. busy tells that it can
// continue at once.
func (s *Shard) continueDrain() (busy bool) {
	if s.drain == drainRefusing {
		if !s.refuseHandshakes() {
			return true
		}
		s.drain = drainFinishing
	}
	if s.drain == drainFinishing && s.allConfirmed() && s.quiet() && s.Port.Mailbox.Empty() {
		s.drain = drainReady
		s.drained()
	}
	if s.drain == drainLeaving {
		busy = s.sendAway()
		if s.Loop.Conns() == 0 {
			s.drain = drainDone
			s.drained()
			return false
		}
	}
	return busy
}

// quiet tells whether no fan-out is under way.
func (s *Shard) quiet() bool { return s.nothingToFanOut() && s.parked == 0 }

// refuseHandshakes walks over the connections for one time slice and refuses those that
// are not clients yet. It returns true after the last one.
func (s *Shard) refuseHandshakes() bool {
	l, end := &s.leaving, s.Loop.Refresh()+s.slice
	for l.cursor >= 0 {
		l.cursor = s.Loop.Walk(l.cursor, sendsPerClockRead, func(h poller.Handler) bool {
			if c := h.(*session); c.state < sessionOpen {
				c.refuseHandshake(ErrDraining)
			}
			return true
		})
		if s.Loop.Refresh() >= end {
			break
		}
	}
	return l.cursor < 0
}

// sendAway sends away the clients whose time has come, for one time slice. busy tells
// that more of them wait. For clients that are not due yet, it sets the loop's alarm.
func (s *Shard) sendAway() (busy bool) {
	l, end := &s.leaving, s.Loop.Refresh()+s.slice
	for l.cursor >= 0 && s.quiet() { // no event may come behind a client's close
		if due := l.due(); due > s.Loop.Now() {
			s.alarm.by(max(due, s.Loop.Now()+leaveGrain))
			return false
		}
		l.cursor = s.Loop.Walk(l.cursor, 1, func(h poller.Handler) bool {
			if c := h.(*session); c.state == sessionOpen {
				c.sendAway(l.retryAfter())
				l.told++
			}
			return true
		})
		if s.Loop.Refresh() >= end {
			return l.cursor >= 0
		}
	}
	return false
}

// CutOff resets the clients for which something still waits.
func (s *Shard) CutOff() {
	for _, c := range s.lagging {
		if c.reason == Undecided {
			c.reason = Draining
		}
		c.conn.Reset()
		c.conn.Close(errImpatient)
	}
}

// sendAway says goodbye and closes, behind what waits for the client.
func (c *session) sendAway(retryAfter time.Duration) {
	s := c.shard
	s.replies = c.dialect().AppendGoodbye(s.replies, "draining", retryAfter)
	c.finishBehind(Draining, ws.StatusGoingAway, "draining")
}
