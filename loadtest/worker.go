package loadtest

import (
	"bytes"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"fleetcast/codec/websocket"
	"fleetcast/loadtest/profile"
	"fleetcast/poller"

	"golang.org/x/sys/unix"
)

// worker owns one loop and its share of the clients. Only its loop's goroutine
// touches it once the loop runs; others send mail.
type worker struct {
	noListeners
	swarm     *swarm
	place     int // among the workers of all processes
	loop      *poller.Loop
	mail      *poller.Mailbox[func()]
	codec     *profile.Codec
	cohorts   []*cohort // by group
	flows     []*flow
	dials     dials
	underWay  int // clients that were dialled and are not yet live
	deadlines *poller.Deadlines[attempt]
	echoing   echoing
	completed []completion // in this turn, not yet told
	last      int64        // when the latest event arrived, time of the clock
	whole     int64        // when the latest client had all that it had missed, time of the clock

	scratch []byte // what goes out next
	data    []byte // what an event's data should be
}

// noListeners is the part of a poller.Owner whose loop has no listeners.
type noListeners struct{}

// Accepted is never called.
func (noListeners) Accepted(*poller.Listener, int) {}

// AcceptFailed is never called.
func (noListeners) AcceptFailed(*poller.Listener, error) {}

// attempt is a client's life that must have come further when its time is over.
type attempt struct {
	client *client
	life   uint32
}

// patience is how long a client may take from dialling to its subscription, and
// a server to answer a goodbye.
const patience = 10 * time.Second

func newWorker(s *swarm, index int) (*worker, error) {
	w := &worker{
		swarm:     s,
		place:     s.plan.place(index),
		mail:      poller.NewMailbox[func()](),
		codec:     s.profile.NewCodec(),
		deadlines: poller.NewDeadlines[attempt](patience),
	}
	for i := range s.plan.Flows {
		w.flows = append(w.flows, newFlow(i, &s.plan.Flows[i], &s.board.schedules[i]))
	}
	for i := range s.plan.Groups {
		group := &s.plan.Groups[i]
		var flow *flow
		if len(w.flows) > 0 {
			flow = w.flows[group.Flow]
		}
		first, step := s.plan.share(group, index)
		w.cohorts = append(w.cohorts, newCohort(w, group, flow, first, step))
	}
	var err error
	if w.loop, err = poller.NewLoop(w, poller.LoopConfig{ReadBuffer: s.plan.readBuffer()}); err != nil {
		return nil, fmt.Errorf("load worker: %w", err)
	}
	return w, nil
}

// run is the worker's goroutine.
func (w *worker) run() {
	if w.swarm.plan.hasApart() && !w.swarm.plan.NoYield && w.place != w.swarm.plan.place(w.swarm.plan.Loops) {
		// The loops that make work for the server yield to the one that measures. The
		// thread is not unlocked, so it ends with the goroutine.
		runtime.LockOSThread()
		// Without it the run is less exact, and no worse.
		_ = unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_IDLE}, 0)
	}
	w.loop.Run()
}

// call runs f on the worker's goroutine and waits for its end. Any other
// goroutine may call it.
func (w *worker) call(f func()) {
	done := make(chan struct{})
	w.mail.Post(func() { f(); close(done) })
	w.loop.Wake()
	<-done
}

// Turn implements poller.Owner.
func (w *worker) Turn() (busy bool) {
	// One letter a turn: what it closes has ended before the next is read, which
	// nothing does midway.
	if !w.loop.Midway() {
		if f, ok := w.mail.Take(); ok {
			f()
		}
	}
	now := w.swarm.clock.now()
	for _, h := range w.cohorts {
		h.turnOver(now)
		h.pingMore(now)
	}
	w.dialMore(now)
	busy = w.echoMore(now)
	w.wakeAtNext()
	if len(w.completed) > 0 {
		w.swarm.completed(w.completed)
		w.completed = w.completed[:0]
	}
	return busy
}

// wakeAtNext makes the loop wake when something is due.
func (w *worker) wakeAtNext() {
	next := w.echoDue()
	if len(w.dials) > 0 && w.underWay < w.swarm.plan.Connecting {
		next = earlier(next, w.dials[0].at)
	}
	for _, h := range w.cohorts {
		if h.churn.interval > 0 {
			next = earlier(next, h.churn.next)
		}
		if h.pings.interval > 0 {
			next = earlier(next, h.pings.next)
		}
	}
	if next == 0 {
		w.loop.WakeAt(0)
		return
	}
	w.loop.WakeAt(w.loop.Refresh() + time.Duration(next-w.swarm.clock.now()))
}

// earlier returns the earlier of two times, of which 0 is never.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (w *worker) Pending() bool { return !w.mail.Empty() }

func (w *worker) Tick() {
	for a := range w.deadlines.Expired(w.loop.Now()) {
		if a.client.life == a.life {
			a.client.overdue()
		}
	}
	var delivered [maxFlows]int64
	for _, h := range w.cohorts {
		delivered[h.plan.Flow] += h.tally.Delivered
	}
	w.giveUpEchoes(w.swarm.plan.Stall)
	for flow, count := range delivered {
		w.swarm.board.counters[w.place].delivered[flow].Store(count)
	}
}

// dialMore keeps a bounded number of clients on their way.
func (w *worker) dialMore(now int64) {
	for w.underWay < w.swarm.plan.Connecting {
		d, ok := w.dials.take(now)
		if !ok {
			return
		}
		d.client.dial(d.due)
	}
}

// source is where client number connects from; the zero value if the kernel may
// choose.
func (w *worker) source(number int32) netip.AddrPort {
	sources := w.swarm.plan.Sources
	if len(sources) == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(sources[int(number)%len(sources)], 0)
}

// prepare begins the counting of events and returns, by flow and channel, 1
// where no client of this worker is awaited.
func (w *worker) prepare() (absent [][]int32, unplaced int) {
	for _, f := range w.flows {
		awaited := make([]int32, f.layout.channels)
		for _, h := range w.cohorts {
			if h.flow != f || !h.plan.Awaited {
				continue
			}
			for i := range h.clients {
				if c := &h.clients[i]; c.state == clientLive {
					c.awaited = true
					awaited[c.channel]++
				}
			}
		}
		f.counting, f.awaited, f.tracks = true, awaited, make([]track, f.plan.Events)
		none := make([]int32, len(awaited))
		for channel := range awaited {
			none[channel] = 1 - min(awaited[channel], 1)
		}
		absent = append(absent, none)
	}
	for _, h := range w.cohorts {
		unplaced += h.unplaced()
	}
	return absent, unplaced
}

// track returns the track of an event that is published.
func (f *flow) track(seq int64) *track {
	t := &f.tracks[seq]
	if !t.begun {
		channel, _ := f.layout.place(seq)
		t.begun, t.remaining = true, f.awaited[channel]
	}
	return t
}

// pass notes that one more client does not wait for event seq any longer. Completions
// of a turn are reported at its end, so that the publisher sends together what has room
// together.
func (w *worker) pass(f *flow, seq, now int64) {
	t := f.track(seq)
	t.remaining--
	if t.remaining == 0 {
		w.completed = append(w.completed, completion{int32(f.index), seq, t.first, now})
	}
}

// checked is what is known of the data of an event.
type checked struct {
	seq       int64
	published bool // the sequence number is that of an event that was published
	known     bool // so is the time: the event is that one
	intact    bool // the data is what belongs to the sequence number and the time
	rewritten bool // it is that, spelled in another way
}

// check parses the data of an event, and puts the data that was expected into w.data.
func (w *worker) check(f *flow, data []byte) (is checked) {
	seq, unix, ok := parseData(data)
	if !ok {
		return checked{}
	}
	w.data = f.plan.appendData(w.data[:0], seq, unix)
	is.seq, is.intact = seq, bytes.Equal(data, w.data)
	if !is.intact && len(data) <= maxRewritten(f.plan.Payload) && sameData(data, w.data) {
		is.intact, is.rewritten = true, true
	}
	due, published := f.schedule.due(seq)
	is.published = published
	is.known = published && w.swarm.clock.toUnix(due) == unix
	return is
}

// close ends every connection. They reset, so that a run leaves no ports behind
// that wait for their time to pass.
func (w *worker) close() {
	for _, h := range w.cohorts {
		h.churn.interval = 0
		for i := range h.clients {
			if c := &h.clients[i]; c.state != clientAbsent {
				c.Reset()
				c.Close(errDone)
			}
		}
	}
	w.dials = nil
}

// clientReader is for everything that servers send.
var clientReader = websocket.ReaderConfig{Client: true, MaxMessage: MaxEcho + 4<<10}
