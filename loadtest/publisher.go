package loadtest

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

const (
	// maxBatch is how many bytes of events one send takes.
	maxBatch = 32 << 10
	// maxUnsent is how many bytes may wait in the door before no more events go
	// out. Those due keep their times.
	maxUnsent = 1 << 20
)

// publisher lets the events of one flow out: with a window, as many as may be
// in flight; at a rate, when each is due. It belongs to the goroutine of the
// publishing loop.
type publisher struct {
	publishing *publishing
	flow       int
	plan       *flowPlan
	schedule   *schedule
	layout     layout
	doors      doors
	closed     int // of the doors: those that are not yet open
	state      publisherState
	result     chan error // told once of each: the doors are open, the last event is done

	events   int64
	hold     int64   // how many of them may be published for now
	window   int64   // 0: at a rate
	interval float64 // between due times at a rate, in nanoseconds
	start    int64   // when the first event was due, time of the clock
	end      int64   // when the last event had reached everyone

	handed   int64 // bytes given to the doors
	inFlight int64
	oldest   int64   // no event below it is in flight
	absent   []int32 // by channel, how many workers have no client for it any more
	waiting  []int32 // by sequence number: workers whose clients do not all have it
	firsts   []int64 // by sequence number: when the first client had it; 0: none yet
	lasts    []int64 // by sequence number: when the last client so far had it
	first    histogram
	last     histogram

	keys     []string // of events, in turn; none: they have none
	data     []byte   // one event's
	rejected int64    // events that the server refused
	timeOver bool     // it was ended by the clock
	doubtful []int64  // events of which it is not known whether the server took them
	untaken  int64    // events that it did not take, as far as is known
	examples examples
	stall    stall
	detour
}

// publisherState is the life of a publisher; see enter.
type publisherState uint8

const (
	publisherIdle    publisherState = iota
	publisherOpening                // the doors connect
	publisherReady                  // they are open
	publisherRunning                // events go out, or are on their way
	publisherDone                   // all is done, or given up
)

var errNobodyLeft = errors.New("no client is left")

// givenUp marks an event that is not waited for any longer.
const givenUp = -1 << 30

func newPublisher(l *publishing, flow int, t Traffic, d doors) *publisher {
	plan := &l.plan.Flows[flow]
	p := &publisher{
		publishing: l,
		flow:       flow,
		plan:       plan,
		schedule:   &l.board.schedules[flow],
		layout:     layout{int64(len(plan.Channels))},
		doors:      d,
		closed:     len(d),
		result:     make(chan error, 2),
		events:     int64(plan.Events),
		hold:       int64(plan.Events),
		window:     int64(t.Window),
		waiting:    make([]int32, plan.Events),
		firsts:     make([]int64, plan.Events),
		lasts:      make([]int64, plan.Events),
		first:      newHistogram(),
		last:       newHistogram(),
		stall:      stall{limit: int64(l.plan.Stall)},
	}
	for key := range plan.Keys {
		p.keys = append(p.keys, "k"+strconv.Itoa(key))
	}
	if t.Rate > 0 {
		p.window, p.interval = 0, float64(time.Second)/t.Rate
	}
	return p
}

// enter is the one place where the publisher's state changes, except cut. err ends it.
func (p *publisher) enter(next publisherState, err error) {
	if p.state == publisherDone {
		return
	}
	p.state = next
	if err != nil {
		p.publishing.failed.CompareAndSwap(nil, &err)
	}
	if next == publisherReady || next == publisherDone {
		p.result <- err
	}
}

// open opens the doors.
func (p *publisher) open() {
	p.enter(publisherOpening, nil)
	if err := p.doors.open(p); err != nil {
		p.doorClosed(err)
	}
}

func (p *publisher) doorOpened() {
	if p.closed--; p.closed == 0 {
		p.enter(publisherReady, nil)
	}
}

func (p *publisher) doorClosed(err error) { p.enter(publisherDone, fmt.Errorf("publishing: %w", err)) }

// run begins.
func (p *publisher) run() {
	p.start = p.publishing.clock.now()
	p.end = p.start
	p.stall.idle(p.start)
	p.enter(publisherRunning, nil)
}

// holdAt has no more than that many events published until it is told again.
func (p *publisher) holdAt(events int64) { p.hold = min(events, p.events) }

// finish makes what is published the last.
func (p *publisher) finish() { p.events = p.published() }

// cut has nothing more published, and waits for nothing.
func (p *publisher) cut() {
	p.finish()
	p.state = publisherDone
}

// turn publishes what may go out, in one send; busy tells that more may.
func (p *publisher) turn() (busy bool) {
	for p.doors.sum(door.batched) < maxBatch && p.mayPublish() {
		p.publish()
	}
	p.handed += int64(p.doors.sum(door.batched))
	p.doors.flush()
	if p.state == publisherRunning {
		switch {
		case p.publishing.board.live() == 0:
			p.enter(publisherDone, errNobodyLeft)
		case p.published() == p.events && p.inFlight == 0 && p.doors.sum(door.unsent) == 0:
			p.enter(publisherDone, nil)
		}
	}
	return p.mayPublish()
}

func (p *publisher) published() int64 { return p.schedule.published.Load() }

// held tells that no more events may go out, whatever is due.
func (p *publisher) held() bool { return p.published() >= min(p.events, p.hold) }

// mayPublish tells whether an event may go out now.
func (p *publisher) mayPublish() bool {
	if p.state != publisherRunning || p.held() || p.doors.sum(door.unsent) > maxUnsent {
		return false
	}
	switch {
	case p.window > 0:
		return p.inFlight < p.window
	case p.burst > 0:
		return true
	case p.halted != 0:
		return false
	}
	return p.dueAt(p.published()) <= p.publishing.clock.now()
}

// nextDue is when the next event at a rate is due; 0 if none is.
func (p *publisher) nextDue() int64 {
	if p.state != publisherRunning || p.window > 0 || p.halted != 0 || p.held() || p.doors.sum(door.unsent) > maxUnsent {
		return 0
	}
	return p.dueAt(p.published())
}

// dueAt is when event seq is due at a rate. It is computed from the start, so
// that no error accumulates.
func (p *publisher) dueAt(seq int64) int64 {
	return p.start + p.later + int64(float64(seq-p.extra)*p.interval)
}

// publish adds the next event to the batch.
func (p *publisher) publish() {
	clock := &p.publishing.clock
	due := clock.now()
	switch {
	case p.burst > 0:
		p.burst--
		p.extra++
	case p.window == 0:
		due = p.dueAt(p.published())
	}
	seq := p.schedule.publish(due)
	channel, index := p.layout.place(seq)
	p.data = p.plan.appendData(p.data[:0], seq, clock.toUnix(due))
	p.doors.of(channel).publish(seq, p.plan.Channels[channel], p.key(index), p.data)
	if p.waiting[seq] = int32(p.publishing.plan.allWorkers()) - p.absent[channel]; p.waiting[seq] > 0 {
		p.inFlight++
	}
}

// key is that of a channel's event with the given index; "" if there are none.
func (p *publisher) key(index int64) string {
	if len(p.keys) == 0 {
		return ""
	}
	return p.keys[index%int64(len(p.keys))]
}

// completed notes that all awaited clients of one worker have an event.
func (p *publisher) completed(c completion) {
	if c.first == nobodyLeft {
		p.abandoned(int32(c.last), c.seq)
		return
	}
	if c.first > 0 && (p.firsts[c.seq] == 0 || c.first < p.firsts[c.seq]) {
		p.firsts[c.seq] = c.first
	}
	p.lasts[c.seq] = max(p.lasts[c.seq], c.last)
	p.end = max(p.end, c.last)
	p.waiting[c.seq]--
	if p.waiting[c.seq] != 0 {
		return
	}
	due, _ := p.schedule.due(c.seq)
	p.inFlight--
	if p.firsts[c.seq] > 0 {
		p.first.record(p.firsts[c.seq] - due)
		p.last.record(p.lasts[c.seq] - due)
	}
}

// abandoned notes that a worker has no client any more that waits for the events of a
// channel, from number from on.
func (p *publisher) abandoned(channel int32, from int64) {
	p.absent[channel]++
	for seq, all := from, p.published(); seq < all; seq++ {
		if of, _ := p.layout.place(seq); of != channel {
			continue
		}
		if p.waiting[seq]--; p.waiting[seq] == 0 {
			p.inFlight--
		}
	}
}

// tick gives up on events that do not come.
func (p *publisher) tick() {
	if p.state != publisherRunning {
		return
	}
	now := p.publishing.clock.now()
	progress := p.publishing.board.delivered(p.flow)
	if p.inFlight == 0 {
		unsent := p.doors.sum(door.unsent)
		if unsent == 0 {
			p.stall.idle(now)
			return
		}
		progress = p.handed - int64(unsent) // nobody waits but the doors: for the server to take events
	}
	switch p.stall.check(progress, now) {
	case stallNone:
	case stallOnce:
		p.giveUp()
	case stallForGood:
		p.giveUp()
		p.enter(publisherDone, fmt.Errorf("no event was taken or has arrived for %v, twice in a row: the run ends after %d events",
			time.Duration(p.stall.limit), p.published()))
	}
}

// giveUp stops the waiting for everything in flight.
func (p *publisher) giveUp() {
	published := p.published()
	for seq := p.oldest; seq < published; seq++ {
		if p.waiting[seq] > 0 {
			p.waiting[seq] = givenUp
		}
	}
	p.oldest, p.inFlight = published, 0
}
