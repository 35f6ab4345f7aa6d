package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"fleetcast/codec/websocket"
	"fleetcast/poller"
)

// worker owns one loop and its share of the clients. Only its loop's goroutine
// touches it once the loop runs; others send mail.
type worker struct {
	swarm    *swarm
	index    int // in the swarm
	loop     *poller.Loop
	mail     *poller.Mailbox[letter]
	profile  profile
	clients  []client
	connects connects

	tally      tally
	latency    histogram
	tracks     []track // by sequence number; made by prepare
	references references
	publisher  *publisher // of the first worker; nil on the others

	scratch []byte // what goes out next
	data    []byte // what an event's data should be
}

// letter is mail for a worker: one of the two.
type letter struct {
	run       func()
	completed completion // for the publisher's worker
}

// connects is the state of connecting a worker's clients.
type connects struct {
	target    int // clients that are to be connected by now
	started   int // clients that were dialled
	ended     int // clients that are live or refused
	deadlines *poller.Deadlines[*client]
	targetMet chan struct{} // told when ended reaches target
}

// handshakeTimeout is how long a client may take from dialling to its
// subscription.
const handshakeTimeout = 10 * time.Second

// clientReader is for everything that servers send: an event may be as large
// as the largest payload with the protocol's words around it.
var clientReader = websocket.ReaderConfig{Client: true, MaxMessage: MaxPayload + 4<<10}

var (
	errHandshakeTimeout = errors.New("no subscription within 10 s")
	errPeerClosed       = errors.New("the server closed the connection")
	errDone             = errors.New("done")
)

func newWorker(s *swarm, index int, numbers span) (*worker, error) {
	p, err := newProfile(s.config.Profile, s.config, s.target)
	if err != nil {
		return nil, err
	}
	w := &worker{
		swarm:      s,
		index:      index,
		mail:       poller.NewMailbox[letter](),
		profile:    p,
		clients:    make([]client, numbers.size()),
		latency:    newHistogram(),
		references: newReferences(s.config.Window, s.config.Payload),
		connects: connects{
			deadlines: poller.NewDeadlines[*client](handshakeTimeout),
			targetMet: make(chan struct{}, 1),
		},
	}
	for i := range w.clients {
		number := numbers.from + int64(i)
		w.clients[i] = client{worker: w, number: int32(number), channel: int32(number % s.layout.channels)}
	}
	if w.loop, err = poller.NewLoop(w, poller.LoopConfig{}); err != nil {
		return nil, fmt.Errorf("load worker: %w", err)
	}
	return w, nil
}

// call runs f on the worker's goroutine and waits for its end. Any other
// goroutine may call it.
func (w *worker) call(f func()) {
	done := make(chan struct{})
	w.mail.Post(letter{run: func() { f(); close(done) }})
	w.loop.Wake()
	<-done
}

// Turn implements poller.Owner.
func (w *worker) Turn() (busy bool) {
	for {
		l, ok := w.mail.Take()
		if !ok {
			break
		}
		if l.run != nil {
			l.run()
		} else {
			w.publisher.completed(l.completed)
		}
	}
	w.dialMore()
	return w.publisher != nil && w.publisher.turn()
}

// Pending implements poller.Owner.
func (w *worker) Pending() bool {
	return !w.mail.Empty() || w.publisher != nil && w.publisher.mayPublish()
}

// Tick implements poller.Owner.
func (w *worker) Tick() {
	for {
		c, _, ok := w.connects.deadlines.Due(w.loop.Now())
		if !ok {
			break
		}
		if c.state < clientLive {
			c.Close(errHandshakeTimeout)
		}
	}
	w.swarm.arrivals[w.index].Store(w.tally.delivered)
	if w.publisher != nil {
		w.publisher.tick()
	}
}

// Accepted implements poller.Owner; a worker has no listeners.
func (w *worker) Accepted(*poller.Listener, int) {}

// AcceptFailed implements poller.Owner.
func (w *worker) AcceptFailed(*poller.Listener, error) {}

// connect makes the first count clients connect, some at a time.
func (w *worker) connect(count int) {
	w.connects.target = count
	w.checkTarget()
}

// dialMore keeps a bounded number of clients on their way.
func (w *worker) dialMore() {
	c := &w.connects
	for c.started < c.target && c.started-c.ended < w.swarm.config.Connecting {
		next := &w.clients[c.started]
		c.started++
		if err := w.loop.Dial(&next.Conn, w.swarm.target.addr, netip.AddrPort{}, next); err != nil {
			next.refuse(err)
			continue
		}
		c.deadlines.Add(next, w.loop.Now())
	}
}

// connectEnded is told by each client that became live or was refused.
func (w *worker) connectEnded() {
	w.connects.ended++
	w.checkTarget()
}

func (w *worker) checkTarget() {
	if w.connects.ended == w.connects.target {
		select {
		case w.connects.targetMet <- struct{}{}:
		default:
		}
	}
}

// prepare sets the tracks up for the clients that are live and returns how many
// those are, by channel.
func (w *worker) prepare() (live []int32) {
	live = make([]int32, w.swarm.layout.channels)
	for i := range w.clients {
		if c := &w.clients[i]; c.state == clientLive {
			live[c.channel]++
		}
	}
	w.tracks = make([]track, len(w.swarm.schedule.dues))
	for seq := range w.tracks {
		channel, _ := w.swarm.layout.place(int64(seq))
		w.tracks[seq].remaining = live[channel]
	}
	return live
}

// arrived counts a verified event of which a client waited.
func (w *worker) arrived(seq, due, now int64) {
	t := &w.tracks[seq]
	if t.first == 0 {
		t.first = now
	}
	w.latency.record(now - due)
	w.pass(seq, now)
}

// pass notes that one more client does not wait for the event any longer.
func (w *worker) pass(seq, now int64) {
	t := &w.tracks[seq]
	t.remaining--
	if t.remaining != 0 {
		return
	}
	done := completion{seq, t.first, now}
	if w.publisher != nil {
		w.publisher.completed(done)
		return
	}
	first := w.swarm.workers[0]
	first.mail.Post(letter{completed: done})
	first.loop.Wake()
}

// passAll notes that a client waits for none of the events of s any longer,
// which are indices of its channel.
func (w *worker) passAll(channel int32, s span, now int64) {
	for index := s.from; index < s.to; index++ {
		w.pass(w.swarm.layout.seq(channel, index), now)
	}
}

// check takes the data of an event apart. known tells that the sequence number
// can be relied on; intact that every byte is as it was published.
func (w *worker) check(data []byte) (seq int64, known, intact bool) {
	seq, unix, ok := parseData(data)
	if !ok {
		return 0, false, false
	}
	w.data = appendData(w.data[:0], seq, unix, w.swarm.config.Payload)
	intact = bytes.Equal(data, w.data)
	due, published := w.swarm.schedule.due(seq)
	known = published && w.swarm.clock.toUnix(due) == unix
	return seq, known, intact
}

// collect counts what each client that was ever live did not get.
func (w *worker) collect() {
	published := w.swarm.schedule.published.Load()
	for i := range w.clients {
		c := &w.clients[i]
		if !c.subscribed {
			continue
		}
		lost := c.sequence.lost(w.swarm.layout.count(c.channel, published))
		if lost > 0 {
			w.tally.lost += lost
			w.tally.note("client %d lost %d events, the first of them event %d",
				c.number, lost, w.swarm.layout.seq(c.channel, c.sequence.firstLost()))
		}
	}
}

// leave closes every client. They reset, so that a run leaves no ports behind
// that wait for their time to pass.
func (w *worker) leave() {
	for i := range w.clients {
		if c := &w.clients[i]; c.Open() {
			c.Reset()
			c.Close(errDone)
		}
	}
}
