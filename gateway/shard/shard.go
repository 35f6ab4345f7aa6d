package shard

import (
	crand "crypto/rand"
	"math/rand/v2"
	"time"

	"fleetcast/codec/command"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/backlog"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/mem"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/stats"
	"fleetcast/gateway/stream"
	"fleetcast/poller"
)

// ClosePatience is how long a client may take to read our last bytes and to close its
// side, before the connection is reset.
const ClosePatience = 2 * time.Second

// KernelQueue is how many unsent bytes a client's socket holds before it takes no more.
// Without it the kernel would hold megabytes. Events would become old where no policy
// reaches them, and a client that reads slowly would show no progress for longer than
// the keep-alive waits for a sign of life.
const KernelQueue = 64 << 10

// Shard is one loop with the clients that the kernel gave to its listener. It owns
// their sessions and its side of their channels. It is the loop's Owner. Everything
// below runs on the loop's goroutine, except post.
type Shard struct {
	shared *Shared
	Loop   *poller.Loop
	Port   *stream.Port // where its mail comes

	channels    map[string]*channel
	rules       map[string]*rules.Rule // of other names that clients publish to; see ruleFor
	ruled       int                    // rules and patterns that a command has looked through, or a part of it; cleared for each
	historyWork int                    // for what a command has read of histories; cleared for each
	fresh       mem.Ring[*channel]     // that have events to fan out and have not had a turn since they had none
	active      mem.Ring[*channel]     // that have more, in turn
	parked      int                    // channels whose fan-out waits for a compressed frame
	slice       time.Duration          // how long a turn fans out, if there is more than that to do
	fannedOut   time.Duration          // when it last ended
	Starved     limits.Starved         // clients whose publish waits for credit
	postponed   mem.Ring[*session]     // clients whose input is handled in the next turn
	throttled   mem.Ring[*session]     // clients that have sent more frames than their rate allows
	lagging     lagging                // clients with a backlog
	catchers    map[*session]*catcher  // clients that still get earlier events of some channels
	catching    mem.Ring[*catcher]     // those that can go on, in turn
	runs        mem.Ring[*run]         // frames of earlier events, from the oldest on
	runBytes    int64                  // that those take
	framing     int                    // work of laying out runs, in bytes to compress; cleared for each write
	ledger      backlog.Ledger         // of their backlogs
	looked      int                    // place in lagging where relieve looked last
	patrol      patrol                 // looks at them
	drain       drainState
	drained     func()        // called when the part of a drain that was asked for is done
	drainBy     time.Duration // the loop's time at which a drain waits for no engine any more
	leaving     leaving
	parting     parting
	// publishing has the accounts of clients that publish, which are few.
	publishing map[*session]*limits.Account
	// unconfirmed has what they have published and an engine has not completed.
	unconfirmed map[*session]unconfirmed
	// checked is the table by which the subscriptions of all clients are allowed, or are
	// checked until checkUntil, by the loop's time.
	checked    *rules.Table
	checkUntil time.Duration
	// permits has the subscriptions of clients that their identity alone does not allow.
	permits map[*session]map[*channel]permit
	// unfinished has the clients with held input, and those that had some when
	// unfinishedDue last looked.
	unfinished      map[*session]limits.Unfinished
	unfinishedDue   *poller.Deadlines[*session] // to look at them
	unfinishedBytes int64
	waiting         mem.Ring[arrival]   // accepted sockets, for their turn
	decided         mem.Ring[*decision] // to be answered
	early           mem.Ring[*decision] // of clients that have sent something before their answer
	alarm           alarm

	handshakes *poller.Deadlines[*session] // heads that must be complete
	pongs      *poller.Deadlines[*session] // clients that must show life
	closing    *poller.Deadlines[*session] // clients that must be gone

	Counters stats.Shard
	Samples  stats.Samples
	Longest  stats.Longest // turn since the watch asked
	taken    int           // events taken from the mailbox in this turn
	random   *rand.ChaCha8
	pace     limits.Pace // of what the build tag invariants adds

	// Scratch, empty between the handling of two sockets.
	command  command.Command
	replies  []byte
	vectors  [][]byte
	gapText  []byte
	standing command.Standing
	recovery command.Recovery
	page     command.Page
	pageData []byte
	earlier  []earlier
	// wholeInput tells whether there was a moment in this read at which no message of
	// the client was under way. Then an unfinished message began after that moment.
	wholeInput bool
	wakes      stream.WakeSet
	submit     *stream.Request
	jobs       []*job // unused ones

	catcherPool []*catcher // unused ones
}

// New opens a shard of that number. The caller adds it to those that share, gives it
// listeners and runs its loop.
func New(all *Shared, index int) (*Shard, error) {
	config := all.Settings.Config()
	s := &Shard{
		shared:     all,
		Port:       stream.NewPort(index),
		channels:   make(map[string]*channel),
		rules:      make(map[string]*rules.Rule),
		publishing: make(map[*session]*limits.Account),
		unfinished: make(map[*session]limits.Unfinished),
		slice:      fanOutSlice,
		handshakes: poller.NewDeadlines[*session](config.HandshakeTimeout),
		pongs:      poller.NewDeadlines[*session](config.PongTimeout),
		closing:    poller.NewDeadlines[*session](ClosePatience),

		unconfirmed:   make(map[*session]unconfirmed),
		unfinishedDue: poller.NewDeadlines[*session](config.MessageTimeout / limits.UnfinishedChecks),

		checked:  all.Settings.Load().Rules,
		Counters: stats.NewShard(),
		random:   newRandom(),
		vectors:  make([][]byte, 0, backlog.FlushVectors),
		wakes:    stream.NewWakeSet(config.Shards),
	}
	if decider := config.Decider; decider != nil {
		for _, reason := range decider.Reasons {
			s.Counters.HandshakeFailures[reason] = 0 // shown from the start, as the gateway's own are
		}
	}
	s.ledger.Memory, s.ledger.Counters = &all.Backlogs, &s.Counters
	s.patrol.ledger = &s.ledger
	s.useEngine(all.Engine)
	s.ledger.Formats = all.Streams.Formats
	var err error
	s.Loop, err = poller.NewLoop(s, poller.LoopConfig{
		SweepInterval: config.PingInterval,
		TurnDone: func(took time.Duration) {
			s.Counters.Turns.Observe(took, 1)
			s.Longest.Observe(took)
			s.checkInvariants()
		},
	})
	s.Starved.Loop, s.Port.Loop = s.Loop, s.Loop
	s.Starved.Samples = &s.Samples
	return s, err
}

// newRandom returns a generator for identifiers, one for each loop.
func newRandom() *rand.ChaCha8 {
	var seed [32]byte
	crand.Read(seed[:])
	return rand.NewChaCha8(seed)
}

// SliceFor sets for how long a turn fans out if nothing else takes longer. The default is half a millisecond. With 0,
// a turn makes the least number of sends.
func (s *Shard) SliceFor(slice time.Duration) { s.slice = slice }

// Post has the shard's goroutine call f soon. Any goroutine may call it.
func (s *Shard) Post(f func()) {
	s.Port.Post(stream.Mail{Call: f})
	s.Loop.Wake()
}

// AcceptFailed implements poller.Owner.
func (s *Shard) AcceptFailed(l *poller.Listener, err error) {
	s.shared.Logger.Warn("cannot accept clients for the moment; those connected are not affected",
		"listener", l.Addr(), "error", err, "connections", s.Counters.Connections)
}

// Turn implements poller.Owner.
func (s *Shard) Turn() (busy bool) {
	s.takeMail()
	s.Starved.Resume()
	s.resumePostponed()
	busy = s.admitWaiting()
	busy = s.takeDecisions() || busy
	s.wakes.Wake()
	busy = s.fanOut() || busy // behind the work that it shares the time with
	busy = s.catchUps() || busy
	busy = s.findSlow() || busy
	busy = s.relieve() || busy
	busy = s.endLate() || busy
	busy = s.endUnfinished() || busy
	busy = s.relieveInput() || busy
	if !s.Loop.Midway() { // clients must not be told to go before what they have sent is read
		busy = s.continueDrain() || busy
	}
	if s.Loop.Conns() == 0 {
		s.forget()
	}
	s.alarm.set(s.Loop)
	s.limitReads()
	return busy || s.postponed.Len() > 0
}

// manyPostponed is the number of clients with input that waits for a later turn from
// which on the others are read only postponedRead bytes at a time, because their input
// would have to be kept too.
const (
	manyPostponed = 256
	postponedRead = 4 << 10
)

// limitReads bounds the input that is held of clients that send too much.
func (s *Shard) limitReads() {
	limit := 0
	if s.postponed.Len() >= manyPostponed {
		limit = postponedRead
	}
	s.Loop.LimitReads(limit)
}

// Pending implements poller.Owner.
func (s *Shard) Pending() bool {
	return !s.Port.Mailbox.Empty() || s.Starved.Pending() || s.patrol.unseen > 0
}

// Tick implements poller.Owner.
func (s *Shard) Tick() {
	now := s.Loop.Now()
	s.patrol.tick(now, len(s.lagging), s.shared.Settings.Config().SlowAfter)
	for c, pinged := range s.pongs.Expired(now) {
		c.pongDue(pinged)
	}
	s.resumeThrottled()
	s.endEarly()
	s.trimRuns()
	s.noteRules(now)
}

// endLate ends the clients that have not finished their handshake, or not closed,
// in time, and tells whether there are more.
func (s *Shard) endLate() (busy bool) {
	now := s.Loop.Now()
	for range limits.EndsPerTurn {
		c, _, ok := s.handshakes.Due(now)
		if !ok {
			break
		}
		switch c.state {
		case sessionHandshaking:
			c.refuseHandshake(websocket.ErrTooSlow)
		case sessionDeciding:
			c.refuseHandshake(ErrUndecided)
		case sessionOpen:
			c.lateToAuthenticate()
		}
	}
	for range limits.EndsPerTurn {
		c, _, ok := s.closing.Due(now)
		if !ok {
			break
		}
		if c.state == sessionClosing && !s.waitFor(c) {
			c.conn.Reset()
			c.conn.Close(errImpatient)
		}
	}
	return s.handshakes.IsDue(now) || s.closing.IsDue(now)
}

// forget drops the remaining references to sessions that are gone. Without connections
// the loop does not tick, and the references would keep them alive.
func (s *Shard) forget() {
	s.handshakes.Clear()
	s.pongs.Clear()
	s.closing.Clear()
	s.unfinishedDue.Clear()
	s.throttled = mem.Ring[*session]{}
	s.early = mem.Ring[*decision]{}
	s.catching = mem.Ring[*catcher]{}
	s.forgetRuns()
}

// takeMail handles the mail. Events then wait with their channel.
func (s *Shard) takeMail() {
	for s.taken = 0; ; {
		m, ok := s.Port.Mailbox.Take()
		if !ok {
			return
		}
		switch {
		case m.Call != nil:
			m.Call()
			continue
		case m.Event == nil:
			s.unpark(m.Interest.Owner.(*channel))
			continue
		}
		s.taken++
		s.Counters.Events++
		s.enqueue(m.Interest.Owner.(*channel), m.Event)
	}
}

// Stats copies the shard's counters; the shard calls it.
func (s *Shard) Stats() stats.Shard {
	c := s.Counters.Snapshot()
	c.ConnectsQueued = int64(s.waiting.Len())
	c.Connections += c.ConnectsQueued
	c.Channels = int64(len(s.channels))
	c.Paused = int64(len(s.Starved.Queue))
	c.CreditWait = s.Starved.WaitedBy(poller.Now()).Seconds()
	c.MailboxDepth = int64(s.taken)
	return c
}
