package loadtest

import (
	"errors"
	"fmt"
	"time"

	"fleetcast/poller"
)

const (
	// maxBatch is how many bytes of events one send takes.
	maxBatch = 32 << 10
	// maxUnsent is how many bytes may wait in the door before no more events go
	// out. Those due keep their times.
	maxUnsent = 1 << 20
)

// publisher lets the events out: with a window, as many as may be in flight; at
// a rate, when each is due. It belongs to the first worker's goroutine.
type publisher struct {
	worker *worker
	door   door
	state  publisherState
	result chan error // told once of each: the door is open, the last event is done

	events   int64
	window   int64   // 0: at a rate
	interval float64 // between due times at a rate, in nanoseconds
	start    int64   // when the first event was due, time of the clock
	end      int64   // when the last event had reached everyone

	inFlight int64
	oldest   int64   // no event below it is in flight
	waiting  []int32 // by sequence number: workers whose clients do not all have it
	firsts   []int64 // by sequence number: when the first client had it; 0: none yet
	first    histogram
	last     histogram

	buffer   []byte // the batch
	data     []byte // one event's
	rejected int64  // events that the server refused
	stall    stall
}

// publisherState is the life of a publisher; see enter.
type publisherState uint8

const (
	publisherIdle    publisherState = iota
	publisherOpening                // the door connects
	publisherReady                  // the door is open
	publisherRunning                // events go out, or are on their way
	publisherDone                   // all is done, or given up
)

var errNobodyLeft = errors.New("no client is left")

// abandoned marks an event that is not waited for any longer.
const abandoned = -1 << 30

func newPublisher(w *worker, config *Fanout) *publisher {
	p := &publisher{
		worker:  w,
		result:  make(chan error, 2),
		events:  int64(config.Events),
		window:  int64(config.Window),
		waiting: make([]int32, config.Events),
		firsts:  make([]int64, config.Events),
		first:   newHistogram(),
		last:    newHistogram(),
		stall:   stall{limit: int64(config.Stall)},
	}
	if config.Rate > 0 {
		p.window, p.interval = 0, float64(time.Second)/config.Rate
	}
	for seq := range p.waiting {
		p.waiting[seq] = int32(len(w.swarm.workers))
	}
	p.door = door{protocol: w.profile.newDoor(), publisher: p}
	return p
}

// enter is the one place where the publisher's state changes. err ends it.
func (p *publisher) enter(next publisherState, err error) {
	if p.state == publisherDone {
		return
	}
	p.state = next
	if next == publisherReady || next == publisherDone {
		p.result <- err
	}
}

// open connects the door.
func (p *publisher) open(l *poller.Loop) {
	p.enter(publisherOpening, nil)
	if err := p.door.open(l); err != nil {
		p.enter(publisherDone, err)
	}
}

func (p *publisher) doorOpened() { p.enter(publisherReady, nil) }

func (p *publisher) doorClosed(err error) { p.enter(publisherDone, err) }

// refused counts an event that the server did not take.
func (p *publisher) refused(answer string) {
	p.rejected++
	p.worker.tally.note("the publish port answered %.200q", answer)
}

// run begins. absent says, by channel, how many workers have no client for it.
func (p *publisher) run(absent []int32) {
	for seq := range p.waiting {
		channel, _ := p.worker.swarm.layout.place(int64(seq))
		p.waiting[seq] -= absent[channel]
	}
	p.start = p.worker.swarm.clock.now()
	p.end = p.start
	p.stall.idle(p.start)
	p.enter(publisherRunning, nil)
	if p.window == 0 {
		go p.pace()
	}
}

// turn publishes what may go out, in one send; busy tells that more may.
func (p *publisher) turn() (busy bool) {
	p.buffer = p.buffer[:0]
	for len(p.buffer) < maxBatch && p.mayPublish() {
		p.publish()
	}
	if len(p.buffer) > 0 {
		p.door.send(p.buffer)
	}
	if p.state == publisherRunning {
		switch {
		case p.worker.swarm.live.Load() == 0:
			p.enter(publisherDone, errNobodyLeft)
		case p.published() == p.events && p.inFlight == 0:
			p.enter(publisherDone, nil)
		}
	}
	return p.mayPublish()
}

func (p *publisher) published() int64 { return p.worker.swarm.schedule.published.Load() }

// mayPublish tells whether an event may go out now.
func (p *publisher) mayPublish() bool {
	if p.state != publisherRunning || p.published() == p.events || p.door.unsent.Len() > maxUnsent {
		return false
	}
	if p.window > 0 {
		return p.inFlight < p.window
	}
	return p.dueAt(p.published()) <= p.worker.swarm.clock.now()
}

// dueAt is when event seq is due at a rate. It is computed from the start, so
// that no error accumulates.
func (p *publisher) dueAt(seq int64) int64 {
	return p.start + int64(float64(seq)*p.interval)
}

// publish adds the next event to the batch.
func (p *publisher) publish() {
	s := p.worker.swarm
	due := s.clock.now()
	if p.window == 0 {
		due = p.dueAt(p.published())
	}
	seq := s.schedule.publish(due)
	channel, _ := s.layout.place(seq)
	p.data = appendData(p.data[:0], seq, s.clock.toUnix(due), s.config.Payload)
	p.buffer = p.door.protocol.appendEvent(p.buffer, s.channels[channel], p.data)
	if p.waiting[seq] > 0 {
		p.inFlight++
	}
}

// completed notes that all clients of one worker have an event. Clients that
// leave complete events before they are published.
func (p *publisher) completed(c completion) {
	if c.first > 0 && (p.firsts[c.seq] == 0 || c.first < p.firsts[c.seq]) {
		p.firsts[c.seq] = c.first
	}
	p.end = max(p.end, c.last)
	p.waiting[c.seq]--
	if p.waiting[c.seq] != 0 {
		return
	}
	due, published := p.worker.swarm.schedule.due(c.seq)
	if !published {
		return
	}
	p.inFlight--
	if p.firsts[c.seq] > 0 {
		p.first.record(p.firsts[c.seq] - due)
		p.last.record(c.last - due)
	}
}

// tick gives up on events that do not come.
func (p *publisher) tick() {
	if p.state != publisherRunning {
		return
	}
	now := p.worker.swarm.clock.now()
	if p.inFlight == 0 {
		p.stall.idle(now)
		return
	}
	switch p.stall.check(p.worker.swarm.delivered(), now) {
	case stallNone:
	case stallOnce:
		p.abandon()
	case stallForGood:
		p.abandon()
		p.enter(publisherDone, fmt.Errorf("no event has arrived for %v, twice in a row: the run ends after %d events",
			time.Duration(p.stall.limit), p.published()))
	}
}

// abandon stops the waiting for everything in flight.
func (p *publisher) abandon() {
	published := p.published()
	for seq := p.oldest; seq < published; seq++ {
		if p.waiting[seq] > 0 {
			p.waiting[seq] = abandoned
		}
	}
	p.oldest, p.inFlight = published, 0
}
