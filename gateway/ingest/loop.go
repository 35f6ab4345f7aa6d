package ingest

import (
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/codec/publish"
	"fleetcast/gateway/keys"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/mem"
	"fleetcast/gateway/stats"
	"fleetcast/gateway/stream"
	"fleetcast/poller"
)

// ingestReadBuffer is larger than a shard's: publishers pipeline, and each read
// is a batch that wakes every shard once.
const ingestReadBuffer = 256 << 10

// sharedRead is how much a publisher is read at a time at least while many
// others are, in bytes: some 0.1 ms of work.
const sharedRead = 16 << 10

// starvedRead is how many bytes a publisher is read at a time while its input could
// only be kept, because the budget is used up or many publishers wait for their turn.
const starvedRead = 4 << 10

// DrainPatience is how long a drain serves publishers that do not stop sending, and
// then how long all may take to read their replies and to close their side.
const DrainPatience = 500 * time.Millisecond

// Loop is one loop of the publish port. It owns the connections of its publishers and
// is its loop's Owner. Everything below runs on the loop's goroutine, except post.
type Loop struct {
	port      *Port
	Loop      *poller.Loop
	mailbox   *poller.Mailbox[func()]
	Starved   limits.Starved       // publishers that wait for credit
	postponed mem.Ring[*publisher] // publishers whose input is handled in a later turn
	closing   *poller.Deadlines[*publisher]
	places    publisherPlaces
	// heldBytes is what unfinished requests hold on this loop.
	heldBytes int64
	drained   func() // set while draining: to be called when all are gone
	// drainServed is for how long a drain has served publishers; see drainTime.
	drainServed, drainLooked time.Duration

	pace         limits.Pace
	counters     stats.Publish
	Samples      stats.Samples
	Longest      stats.Longest // turn since the watch asked
	reads        int           // of publishers, in this turn
	sharing      int           // how many publishers share what is read, by the last turns
	transactions int           // of publishers, that are open
	looked       time.Duration // when their ages were last looked at; the loop's time
	warned       time.Duration // when an HTTP request was last logged; the loop's time
	work         int           // for the publisher that is handled; see limits.TurnWork
	workLimit    int           // after which the rest of its input waits

	// Scratch, empty between the handling of two sockets.
	request publish.Request
	resp    publish.RESPCommand
	queued  publish.RESPCommand // of a transaction
	payload []byte
	replies []byte
	allowed keys.Cache // which channels the publishers' keys allow
	wakes   stream.WakeSet
	submit  *stream.Request // those that are published
}

// errLingers ends connections of publishers that do not close in time.
var errLingers = errors.New("publisher did not close in time")

// Why connections to the publish port are turned away.
const (
	RefusedFull     = "full"
	RefusedDraining = "draining"
)

// SendTimeout is how long a publisher may leave replies unacknowledged, or
// keep its receive window shut: as long as keep-alive probes take to find out that one
// is gone. A publisher may read late on purpose, so it has more time than a client.
const SendTimeout = 2 * time.Minute

// NewLoop opens a loop of a port. The caller adds it to the port, gives it listeners and
// runs it.
func NewLoop(port *Port) (*Loop, error) {
	in := &Loop{
		port:     port,
		mailbox:  poller.NewMailbox[func()](),
		counters: stats.NewPublish(),
		closing:  poller.NewDeadlines[*publisher](publisherPatience),
		wakes:    stream.NewWakeSet(port.Settings.Config().Shards),
	}
	in.useEngine(port.Engine)
	var err error
	in.Loop, err = poller.NewLoop(in, poller.LoopConfig{
		ReadBuffer:    ingestReadBuffer,
		SweepInterval: port.Settings.Config().MessageTimeout / limits.UnfinishedChecks,
		TurnDone:      func(took time.Duration) { in.Longest.Observe(took); in.checkInvariants() },
	})
	in.Starved.Loop, in.Starved.Samples = in.Loop, &in.Samples
	return in, err
}

func (in *Loop) useEngine(e stream.Engine) {
	in.submit = stream.NewRequest(e, &in.wakes, &in.counters.Events)
	in.submit.Duplicates = &in.counters.Duplicates
}

// Post has the loop's goroutine call f soon. Any goroutine may call it.
func (in *Loop) Post(f func()) {
	in.mailbox.Post(f)
	in.Loop.Wake()
}

// Accepted implements poller.Owner.
func (in *Loop) Accepted(_ *poller.Listener, fd int) {
	port := in.port
	if port.connections.Add(1) > int64(port.Settings.Config().MaxPublishers) && (in.drained != nil || !in.makePlace(poller.RemoteAddr(fd).Addr())) {
		in.turnAway(fd, RefusedFull, "-ERR max number of clients reached\r\n")
		return
	}
	if in.drained != nil {
		in.turnAway(fd, RefusedDraining, "-ERR the gateway is stopping\r\n")
		return
	}
	p := newPublisher(in)
	if err := in.Loop.Register(&p.conn, fd, p); err != nil {
		port.connections.Add(-1)
		unix.Close(fd)
		port.Logger.Warn("a publisher was dropped", "error", err)
		return
	}
	p.remote, p.opened, p.readAt, p.since = limits.PeerText(fd), in.Loop.Now(), in.Loop.Now(), in.Loop.Now()
	p.access = access{set: in.port.Settings.Load().PublishKeys, since: p.opened}
	in.places.enter(p, p.conn.RemoteAddr().Addr())
	in.counters.Publishers++
	p.logConnected()
}

// turnAway closes a connection that was counted but cannot be served. Its protocol is
// not known, so the text must suit a person and RESP.
func (in *Loop) turnAway(fd int, reason, words string) {
	in.counters.Refused[reason]++
	if key := (stats.IncidentKey{Metric: stats.MetricPublishers, Label: reason}); in.Samples.Wants(key) {
		in.Samples.Keep(key, slog.String("address", limits.PeerText(fd)))
	}
	in.port.connections.Add(-1)
	_ = unix.Sendto(fd, []byte(words), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
	unix.Close(fd)
}

// AcceptFailed implements poller.Owner.
func (in *Loop) AcceptFailed(l *poller.Listener, err error) {
	in.port.Logger.Warn("cannot accept publishers for the moment; those connected are not affected",
		"listener", l.Addr(), "error", err)
}

// Turn implements poller.Owner.
func (in *Loop) Turn() (busy bool) {
	for {
		f, ok := in.mailbox.Take()
		if !ok {
			break
		}
		f()
	}
	in.Starved.Resume()
	in.resumePostponed()
	in.wakes.Wake()
	if !in.Loop.Midway() {
		in.limitReads()
		in.continueDrain() // which closes those that are silent
	}
	return in.relieveInput() || in.postponed.Len() > 0
}

// limitReads shares what is read in a turn between the publishers that send. One alone
// is read as much as there is, many are read a little each, so that none waits for long
// behind the others. It also bounds what is held of publishers without credit: when the
// budget is used up, a publisher that is read can publish nothing.
func (in *Loop) limitReads() {
	// Not by the last turn alone, which may have been for something else.
	in.sharing = max(in.reads+in.postponed.Len(), in.sharing/2)
	in.Loop.LimitReads(in.readLimit())
	in.reads = 0
}

func (in *Loop) readLimit() int {
	if in.port.Credits.Exhausted() || in.postponed.Len() >= manyPublishers {
		return starvedRead
	}
	return max(ingestReadBuffer/max(in.sharing, 1), sharedRead)
}

// Pending implements poller.Owner.
func (in *Loop) Pending() bool {
	return !in.mailbox.Empty() || in.Starved.Pending()
}

// Tick implements poller.Owner.
func (in *Loop) Tick() {
	if now := in.Loop.Now(); in.transactions > 0 && now-in.looked >= time.Second {
		in.looked = now
		in.EndOldTransactions(now)
	}
	for p := range in.closing.Expired(in.Loop.Now()) {
		p.conn.Close(errLingers)
	}
}

// StartDrain lets publishers finish and then closes their connections. done is
// called when the last one is gone.
func (in *Loop) StartDrain(done func()) {
	in.drained, in.drainServed, in.drainLooked = done, 0, in.Loop.Now()
	in.Loop.CloseListeners()
}

// continueDrain ends the connections that are done: a publisher that was silent for a
// tick has, as far as we know, nothing more on the way. One whose replies an engine
// keeps waiting is told that they have not come. It ends with a FIN, because a close
// would destroy replies that have not arrived if the publisher sends more.
func (in *Loop) continueDrain() {
	if in.drained == nil {
		return
	}
	served := in.drainTime()
	in.Loop.EachConn(func(h poller.Handler) {
		switch p := h.(*publisher); {
		case served >= 2*DrainPatience:
			p.conn.Close(errLingers)
		case served >= DrainPatience || p.idle() && in.Loop.Now()-p.readAt > poller.TickInterval:
			p.cutOff()
		}
	})
	if in.Loop.Conns() == 0 && in.postponed.Len() == 0 {
		in.drained()
		in.drained = nil
	}
}

// drainTime is for how long the drain has lasted, without the time in which the machine
// held the loop up: what publishers had sent before waits unread in the kernel then.
func (in *Loop) drainTime() time.Duration {
	in.drainServed += min(in.Loop.Now()-in.drainLooked, 2*poller.TickInterval)
	in.drainLooked = in.Loop.Now()
	return in.drainServed
}

// CutOff ends what a drain has left: from here on nothing of any publisher is
// accepted. Their replies have the time that a close leaves them.
func (in *Loop) CutOff() {
	in.Loop.EachConn(func(h poller.Handler) { h.(*publisher).cutOff() })
}

// AddStats adds the loop's counters; the loop calls it.
func (in *Loop) AddStats(to *stats.Publish) {
	to.Add(&in.counters)
	to.Paused += int64(len(in.Starved.Queue))
	to.CreditWait += in.Starved.WaitedBy(poller.Now()).Seconds()
}

// requestCost is the price of an event for each channel of a request.
func requestCost(r *publish.Request) (cost int64) {
	for _, name := range r.Channels {
		cost += limits.EventCost(name, r.Key, r.Data)
	}
	return cost
}
