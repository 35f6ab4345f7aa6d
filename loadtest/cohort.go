package loadtest

import (
	"math/rand/v2"
	"slices"
	"time"
)

// cohort is the clients of one group that one worker has. It belongs to the
// worker's goroutine.
type cohort struct {
	worker  *worker
	plan    *groupPlan
	flow    *flow // nil if clients subscribe to nothing
	clients []client

	asked   int           // of clients: those that have been told to connect, the first ones
	pending int           // clients that an order waits for
	settled chan struct{} // closed when there are none left; nil if nobody waits
	live    int
	// untilServed has orders wait until clients have got an event, and not only a
	// subscription.
	untilServed bool
	// compressing is how many of those have a server that agreed to compress.
	compressing int
	recovering  int   // clients that have named their position and are not whole yet
	away        int64 // how long those stay away that leave in turn, in nanoseconds
	finished    bool  // what did not come is counted
	lagging     bool  // its clients were told to stall, so the server may cut them off
	churn       churn
	pings       pings

	tally tally
	times times // since the last sample
	spare times // of the last sample
}

// churn is the leaving and coming back of a cohort's clients at a rate.
type churn struct {
	interval int64 // nanoseconds; 0: none
	next     int64 // when the next client leaves, time of the clock
	turn     int   // whose turn it is
	left     int   // how many have left
}

func newCohort(w *worker, plan *groupPlan, flow *flow, first, step int) *cohort {
	h := &cohort{
		worker: w, plan: plan, flow: flow,
		clients: make([]client, shareSize(plan.Clients, first, step)),
		times:   newTimes(), spare: newTimes(),
	}
	for i := range h.clients {
		number := first + i*step
		h.clients[i] = client{cohort: h, number: int32(number)}
		channels := 1
		if flow != nil {
			h.clients[i].channel = int32(int64(number) % flow.layout.channels)
			h.clients[i].sequence.untaken = flow.untaken[h.clients[i].channel]
			channels = int(flow.layout.channels)
		}
		h.clients[i].offers = w.swarm.plan.offers(number, channels)
		if w.swarm.plan.Echo != nil {
			h.clients[i].echo = &echo{dues: make([]int64, w.swarm.plan.Echo.Messages)}
		}
	}
	return h
}

// sample returns what was counted, and clears the latencies. The histograms that it
// returns are valid until the next call.
func (h *cohort) sample() groupAnswer {
	a := groupAnswer{Live: h.live, Compressing: h.compressing, Tally: h.tally, Times: h.times}
	a.Tally.Examples = slices.Clone(a.Tally.Examples)
	h.times, h.spare = h.spare, h.times
	h.times.reset()
	return a
}

// counters is what the cohort's worker tells the publishers.
func (h *cohort) counters() *workerCounters { return &h.worker.swarm.board.counters[h.worker.place] }

// expect makes an order wait for c. It gets the outcome once.
func (h *cohort) expect(c *client) {
	if !c.expected {
		c.expected = true
		h.pending++
	}
}

// settle notes that no order needs to wait for c any longer.
func (h *cohort) settle(c *client) {
	if c.expected {
		c.expected = false
		h.pending--
	}
	h.checkSettled()
}

// await has done closed when no client is expected any more.
func (h *cohort) await(done chan struct{}) {
	h.settled = done
	h.checkSettled()
}

func (h *cohort) checkSettled() {
	if h.settled != nil && h.pending == 0 {
		close(h.settled)
		h.settled = nil
	}
}

// connect dials the clients whose number is below count and that were not
// dialled before: at once, or each at its place in the rate.
func (h *cohort) connect(count int, rate float64) {
	now := h.worker.swarm.clock.now()
	if h.asked == len(h.clients) {
		return
	}
	from := float64(h.clients[h.asked].number)
	for ; h.asked < len(h.clients) && int(h.clients[h.asked].number) < count; h.asked++ {
		c := &h.clients[h.asked]
		at, due := now, int64(0)
		if rate > 0 {
			at += int64((float64(c.number) - from) / rate * float64(time.Second))
			due = at
		}
		h.expect(c)
		h.worker.dials.add(c, at, due)
	}
}

// drop makes every client vanish without a word. The next token of those that have two is
// the second.
func (h *cohort) drop() {
	for i := range h.clients {
		c := &h.clients[i]
		c.renewed = h.plan.Renews
		if c.state == clientLive {
			c.vanish()
		}
		if h.plan.Rewinds {
			c.rewind()
		}
	}
}

// comeBack dials all absent clients, each at a moment of its own, and waits for those
// that come back by themselves. With untilServed it waits until all have got an event.
func (h *cohort) comeBack(over time.Duration, untilServed bool) {
	now := h.worker.swarm.clock.now()
	h.untilServed = untilServed
	for i := range h.clients {
		c := &h.clients[i]
		if c.state == clientLive {
			if untilServed && !c.served {
				h.expect(c)
			}
			continue
		}
		h.expect(c)
		at, due := now, int64(0)
		if over > 0 {
			at += rand.Int64N(int64(over))
			due = at
		}
		if c.state == clientLeaving { // its old socket is not closed yet
			c.returning, c.returnsAt = true, at
		}
		if c.state != clientAbsent || c.queued {
			continue
		}
		c.attempts = 0
		h.worker.dials.add(c, at, due)
	}
}

// startChurn makes clients leave and come back after a time, rate of them per second in the whole
// group. 0 ends it; clients that are away still come back.
func (h *cohort) startChurn(rate float64, away time.Duration) {
	h.churn.interval, h.churn.next = h.pace(rate)
	h.away = int64(away)
}

// pace is the time between this cohort's parts of what happens rate times per second in
// the whole group, and when the next is due; 0 for never.
func (h *cohort) pace(rate float64) (interval, next int64) {
	if rate <= 0 || len(h.clients) == 0 {
		return 0, 0
	}
	share := rate * float64(len(h.clients)) / float64(h.plan.Clients)
	interval = int64(float64(time.Second) / share)
	return interval, h.worker.swarm.clock.now() + interval
}

// turnOver makes the clients leave whose time has come. Every second one closes its
// connection properly, the others vanish. Clients that have come back stay until they are whole.
func (h *cohort) turnOver(now int64) {
	for h.churn.interval > 0 && h.churn.next <= now {
		h.churn.next += h.churn.interval
		c := h.nextLive(&h.churn.turn)
		if c == nil || c.recovery != nil && c.recovery.state.underWay() {
			continue
		}
		c.returnsAt = now + h.away
		if h.churn.left++; h.churn.left%2 == 1 {
			c.leave()
		} else {
			c.vanish()
		}
	}
}

// nextLive returns the client whose turn it is; nil if nobody is there.
func (h *cohort) nextLive(turn *int) *client {
	for range h.clients {
		c := &h.clients[*turn%len(h.clients)]
		*turn++
		if c.state == clientLive {
			return c
		}
	}
	return nil
}

// pause stops or resumes the reading of all clients. Nobody waits for those who
// have stopped once.
func (h *cohort) pause(on bool) {
	h.lagging = true
	for i := range h.clients {
		c := &h.clients[i]
		switch {
		case !c.Open():
		case on:
			c.abandon()
			c.PauseReading()
		default:
			c.ResumeReading()
		}
	}
}

// behind counts the clients that have not got all that is due to them, pongs
// included.
func (h *cohort) behind() (count int) {
	for i := range h.clients {
		if c := &h.clients[i]; c.behind() || c.awaitsPong() {
			count++
		}
	}
	return count
}

// leave makes every client close in good order.
func (h *cohort) leave() {
	for i := range h.clients {
		if c := &h.clients[i]; c.state == clientLive {
			h.expect(c)
			c.leave()
		}
	}
}

// finish counts, once, what each client that was ever live did not get. In a run
// that was cut short, what may still have come is in flight and not lost.
func (h *cohort) finish(cut bool) {
	if h.finished {
		return
	}
	h.finished = true
	for i := range h.clients {
		c := &h.clients[i]
		until := c.sequence.next
		switch {
		case c.echo != nil:
			until = c.echo.sent
		case h.flow == nil:
			continue
		case c.owed && !c.anywhere:
			until = h.flow.published(c.channel)
		}
		c.forgetPings(!cut)
		lost, ahead := c.sequence.lost(), c.sequence.ahead(until)
		if cut {
			h.tally.InFlight += ahead
			until = 0
		} else {
			lost += ahead
		}
		c.countLoss(lost)
		c.endRecovery(until)
	}
}

// countLoss counts what the client never got.
func (c *client) countLoss(lost int64) {
	if lost > 0 {
		c.cohort.tally.Lost += lost
		c.cohort.tally.Examples.once(kindLost, func() (where, expected, got string) { return c.describeLoss(lost) })
	}
}
