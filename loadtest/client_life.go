package loadtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"fleetcast/codec/websocket"
	"fleetcast/loadtest/profile"
	"fleetcast/poller"

	"github.com/gobwas/ws"
)

// dial begins a life. Its handshake's clock starts when it was due, if it was
// due at a time, or else now.
func (c *client) dial(due int64) {
	w := c.cohort.worker
	c.life++
	c.told, c.served, c.proved, c.form, c.wire = false, false, false, formPlain, 0
	if c.dialled = due; due == 0 {
		c.dialled = w.swarm.clock.now()
	}
	c.enter(clientDialling)
	if err := w.loop.Dial(&c.Conn, w.swarm.plan.Target.Addr, w.source(c.number), c); err != nil {
		c.ended(fmt.Errorf("%w: %w", errNotEvenDial, err))
		return
	}
	w.deadlines.Add(attempt{c, c.life}, w.loop.Now())
}

// overdue is called when the client's patience is over.
func (c *client) overdue() {
	switch {
	case c.state == clientShaking:
		c.Close(errHandshake)
	case c.state.underWay():
		c.Close(errOverdue)
	case c.state == clientLeaving:
		c.Reset()
		c.Close(errNoGoodbye)
	}
}

// begin sends the first messages on a new connection.
func (c *client) begin() {
	w := c.cohort.worker
	if c.cohort.flow == nil {
		c.becomeLive()
		return
	}
	hello, awaited := w.codec.AppendHello(w.scratch[:0])
	if len(hello) > 0 {
		c.sendFrame(ws.OpText, hello)
	}
	if awaited {
		c.enter(clientGreeting)
		return
	}
	c.subscribe()
}

func (c *client) subscribe() {
	w, f := c.cohort.worker, c.cohort.flow
	if c.recovers() {
		w.scratch = c.appendRecover(w.scratch[:0])
	} else {
		w.scratch = w.codec.AppendSubscribe(w.scratch[:0], f.plan.Channels[c.channel])
	}
	if len(w.scratch) > 0 {
		c.sendFrame(ws.OpText, w.scratch)
	}
	if w.codec.Confirms() {
		c.enter(clientSubscribing)
		return
	}
	c.startAt(&profile.Message{})
	c.becomeLive()
}

// startAt sets which event must be the client's first, by the answer to its subscription.
// Offsets count from the channel's offset before the first event of the run, because no other
// program publishes to the run's channels.
func (c *client) startAt(m *profile.Message) {
	f := c.cohort.flow
	before := f.schedule.published.Load() == 0
	c.origin = f.originOf(c.channel, m.Epoch)
	base := c.base()
	if before && m.HasOffset {
		*base = int64(m.Offset)
	}
	c.placed = m.HasOffset && *base != unknownBase
	switch {
	case c.placed:
		c.resume(int64(m.Offset) - *base)
	case before:
		c.resume(0)
	default:
		c.anywhere = true
	}
	c.owed = true
}

// resume continues the client's sequence with the event of that index. What was
// published while it was away is missing if it did not leave of its own will. It may
// get events again that it got before it left, because another loop of the server,
// which is not as far, answers it now.
func (c *client) resume(index int64) {
	if c.owed {
		c.miss(span{c.sequence.next, index})
	}
	c.cohort.tally.Missing -= c.sequence.resumeAt(index)
}

func (c *client) becomeLive() {
	h := c.cohort
	c.enter(clientLive)
	c.attempts, c.away = 0, 0
	h.tally.Connected++
	h.counters().connected.Add(1)
	h.times.Handshake.record(h.worker.swarm.clock.now() - c.dialled)
	if !h.untilServed {
		h.settle(c)
	}
}

// serve notes that the client has got its first event in this life.
func (c *client) serve() {
	c.served = true
	if c.cohort.untilServed {
		c.cohort.settle(c)
	}
}

// leave says goodbye.
func (c *client) leave() {
	c.enter(clientLeaving)
	c.release()
	c.life++
	c.cohort.worker.deadlines.Add(attempt{c, c.life}, c.cohort.worker.loop.Now())
	c.send(websocket.AppendMaskedClose(nil, ws.StatusNormalClosure, "", ws.NewMask()))
}

// vanish ends the connection without a word.
func (c *client) vanish() {
	c.release()
	c.enter(clientLeaving) // until the loop has closed the socket, at the end of its turn
	c.Reset()
	c.Close(errVanished)
}

// release notes that nothing is owed to the client any more, by its own will.
func (c *client) release() {
	c.owed = false
	c.forgetPings(false)
	c.abandon()
}

// abandon stops the waiting for everything that the client has not got.
func (c *client) abandon() {
	if !c.awaited {
		return
	}
	f, w := c.cohort.flow, c.cohort.worker
	published := f.schedule.published.Load() // once: an event is passed here or by nobodyLeft, not by both
	now := w.swarm.clock.now()
	c.passAll(span{c.sequence.next, f.layout.count(c.channel, published)}, now)
	c.awaited = false
	if f.awaited[c.channel]--; f.awaited[c.channel] == 0 {
		w.completed = append(w.completed, completion{int32(f.index), published, nobodyLeft, int64(c.channel)})
	}
}

// ended is the end of a life, however it came.
func (c *client) ended(err error) {
	h, before := c.cohort, c.state
	c.reader.Release()
	c.unsent.Release()
	c.opening = nil
	c.life++
	c.enter(clientAbsent)
	if err == errDone || err == poller.ErrLoopStopped {
		h.settle(c)
		return
	}
	c.forgetPings(true)
	c.endRecovery(0)
	if c.echo != nil {
		c.abandonEcho()
	}
	var away *turnedAway
	if errors.As(err, &away) {
		h.tally.TurnedAway++
		c.comesBackAfter(away)
		return
	}
	h.judge(c, before, err)
	if h.churn.interval > 0 || c.returning || h.plan.Returns && err != errVanished && err != errLeft {
		c.returning = false
		c.returns(before)
		return
	}
	h.settle(c)
}

// judge counts the end of a connection that was in the given state.
func (h *cohort) judge(c *client, before clientState, err error) {
	switch {
	case err == errVanished || err == errLeft:
	case before.underWay():
		h.tally.Refused++
		h.counters().failed.Add(1)
		c.example(kindRefused, "a subscription", err.Error())
	case before == clientLeaving:
		h.tally.Unexpected++
		c.example(kindUnexpected, "the server to answer the client's close frame and to close", err.Error())
	case h.lagging:
		h.tally.CutOff++
		if !c.told {
			h.tally.CutUntold++
		}
		c.release()
	default:
		h.tally.Disconnected++
		c.example(kindDisconnected, "the connection to last", err.Error())
		c.abandon()
	}
}

// Times between attempts to connect. The bound doubles, and each time is drawn between
// 0 and the bound.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// maxAttempts is how often a client tries before it is given up.
const maxAttempts = 20

// returns dials again: at once if the client left of its own will, after a pause if the
// last attempt failed.
func (c *client) returns(before clientState) {
	h := c.cohort
	at := h.worker.swarm.clock.now()
	if before.underWay() {
		if c.attempts++; c.attempts > maxAttempts {
			h.settle(c)
			return
		}
		at += rand.Int64N(int64(min(firstPause<<min(c.attempts-1, 10), maxPause)))
	}
	h.worker.dials.add(c, max(at, c.returnsAt), 0)
}
