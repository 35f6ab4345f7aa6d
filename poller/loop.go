package poller

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// TickInterval is the grain of a loop's clock-driven work: deadlines, the
// sweep, listeners that rest.
const TickInterval = 100 * time.Millisecond

// DefaultReadBuffer is the size of a loop's read buffer in bytes, and so the
// most that one socket is read per turn.
const DefaultReadBuffer = 64 << 10

// Owner is what a loop works for. The loop calls it from its own goroutine.
type Owner interface {
	// Accepted takes over a socket from one of the loop's listeners:
	// non-blocking, not yet registered.
	Accepted(l *Listener, fd int)
	// AcceptFailed is called once per burst of failures, when a listener pauses because
	// there are no descriptors or no memory.
	AcceptFailed(l *Listener, err error)
	// Turn runs after the ready sockets were served. It takes the mail and
	// does a bounded amount of work; busy tells that more waits, so that the
	// loop polls its sockets and comes back without sleeping.
	//
	// Where many sockets are ready, or make much work, it also runs between two
	// of them, see [Loop.Midway]; busy means nothing then, because it runs again
	// behind the last. What was closed meanwhile has not ended yet.
	Turn() (busy bool)
	// Pending tells whether mail has arrived since Turn looked.
	Pending() bool
	// Tick runs about every TickInterval while the loop has connections, or
	// dismissed sockets that linger.
	Tick()
}

// LoopConfig sets a loop up.
type LoopConfig struct {
	// ReadBuffer is the size of the read buffer in bytes; 0 means
	// DefaultReadBuffer.
	ReadBuffer int
	// SweepInterval is the time in which every connection's Swept is called
	// once; 0 means never.
	SweepInterval time.Duration
	// TurnDone, if it is set, is told after each turn how long it took, from the
	// end of the wait for sockets to the next.
	TurnDone func(time.Duration)
}

// started is where the clock of all loops begins.
var started = time.Now()

// Now is the clock that all loops of the process share, read anew: monotonic,
// since some moment before the first loop was made. Any goroutine may call it.
func Now() time.Duration { return time.Since(started) }

// Loop is one goroutine with one epoll instance, its sockets, its listeners
// and one read buffer.
type Loop struct {
	owner  Owner
	epoll  *epoll
	buffer []byte
	gather gather

	conns     []*Conn // by slot; nil is free
	freeSlots []int32
	closing   []ending // given up, and not closed yet
	listeners []*Listener
	lingering lingering // dismissed sockets

	now       time.Duration
	turnDone  func(time.Duration)
	tickDue   bool // the timer has fired since the last tick
	midway    bool // Turn runs, and ready sockets have not been served
	full      bool // the last wait reported as many sockets as it can
	postponed int  // turns for which the tick was put off
	readLimit int  // bytes of the buffer that one read may use
	sweep     sweep
	alarm     alarm

	turnBegan time.Duration // when the wait before it ended
	busySince time.Duration // when the loop last came back from parking
	shared    bool          // another thread waits in the runtime's poller since then

	asleep  atomic.Bool // true exactly while a wait that may block is entered or about to be
	stopped atomic.Bool
	closed  bool // by Close: nothing may be added any more
}

// ending is a connection that is closed at the end of the turn, or of a later one.
type ending struct {
	conn *Conn
	err  error
}

// NewLoop opens a loop. Run must be called for it to do anything, or Close to
// give its descriptors back.
func NewLoop(owner Owner, config LoopConfig) (*Loop, error) {
	e, err := openEpoll()
	if err != nil {
		return nil, err
	}
	size := config.ReadBuffer
	if size == 0 {
		size = DefaultReadBuffer
	}
	return &Loop{
		owner:     owner,
		epoll:     e,
		buffer:    make([]byte, size),
		now:       Now(),
		turnDone:  config.TurnDone,
		readLimit: size,
		sweep:     sweep{interval: config.SweepInterval},
	}, nil
}

// Run runs the loop until Stop. Then it closes the remaining sockets and listeners, and
// calls their handlers.
func (l *Loop) Run() {
	busy := false
	for !l.stopped.Load() {
		l.dispatch(l.epoll.wait(l.mayBlock(busy)))
		l.shareWaiting()
		busy = l.owner.Turn()
		l.tick()
		// The owner gets a turn after the end of a connection, because it may wait for
		// that end.
		busy = l.closeEnded() || busy
		if l.turnDone != nil {
			l.turnDone(Now() - l.turnBegan)
		}
	}
	l.Close()
}

// Stop makes Run return after its current turn. Any goroutine may call it.
func (l *Loop) Stop() {
	l.stopped.Store(true)
	l.Wake()
}

// Close closes all sockets, listeners and the loop's own descriptors. Run calls it.
// Call it for a loop that never ran. Further calls do nothing, and a later Run returns
// at once.
func (l *Loop) Close() {
	if l.closed {
		return
	}
	// From here on nothing can be added. Otherwise a handler that dials again when its
	// connection ends would leave a socket open.
	l.closed = true
	l.stopped.Store(true)
	for _, c := range l.conns {
		if c != nil {
			c.Close(ErrLoopStopped)
		}
	}
	for l.closeEnded() {
	}
	for _, listener := range l.listeners {
		listener.close()
	}
	l.lingering.close(l)
	l.epoll.close()
}

// Wake makes the loop take a turn soon. Any goroutine may call it, after it
// has posted. It costs a system call only if the loop is asleep, and then only
// the first caller pays.
func (l *Loop) Wake() {
	if l.asleep.Load() && l.asleep.CompareAndSwap(true, false) {
		l.epoll.wake()
	}
}

// Now is the loop's clock: that of the function [Now], read once per turn.
func (l *Loop) Now() time.Duration { return l.now }

// TurnBegan is when the wait for sockets before this turn ended, by the loop's clock.
func (l *Loop) TurnBegan() time.Duration { return l.turnBegan }

// Refresh reads the clock again within a turn and returns it.
func (l *Loop) Refresh() time.Duration {
	l.now = Now()
	return l.now
}

// LimitReads makes reads take n bytes at most; 0 or more than the buffer holds means
// the whole buffer. An owner that must keep what it reads for a while limits it in this
// way.
func (l *Loop) LimitReads(n int) {
	if n <= 0 || n > len(l.buffer) {
		n = len(l.buffer)
	}
	l.readLimit = n
}

// Conns returns the number of registered connections.
func (l *Loop) Conns() int { return len(l.conns) - len(l.freeSlots) }

// EachConn calls visit with the handler of every connection that is not about
// to close.
func (l *Loop) EachConn(visit func(Handler)) {
	for _, c := range l.conns {
		if c != nil && c.state != stateClosing {
			visit(c.handler)
		}
	}
}

// Walk is EachConn in portions: it looks at up to n slots from the one numbered
// from, at first 0, and returns where the next portion begins, or -1 behind the
// last slot. A connection keeps its slot, so a walk misses none that was there
// from its first portion to its last. It ends early, with -1, when visit returns
// false.
func (l *Loop) Walk(from, n int, visit func(Handler) bool) (next int) {
	end := min(from+n, len(l.conns))
	for i := from; i < end; i++ {
		if c := l.conns[i]; c != nil && c.state != stateClosing && !visit(c.handler) {
			return -1
		}
	}
	if end >= len(l.conns) {
		return -1
	}
	return end
}

// mayBlock declares the loop asleep if it may block, then looks for mail once
// more: a poster either sees the flag and wakes the loop, or posted early
// enough to be seen here.
func (l *Loop) mayBlock(busy bool) bool {
	busy = busy || len(l.closing) > 0 || l.setAlarm()
	l.epoll.tick(l.ticking())
	if busy {
		return false
	}
	l.asleep.Store(true)
	if l.owner.Pending() || l.stopped.Load() {
		l.asleep.Store(false)
		return false
	}
	return true
}

const (
	// readSlice is how long ready sockets are served before the owner has its
	// turn.
	readSlice = time.Millisecond
	// socketsPerClockRead keeps reading the clock cheap beside a receive.
	socketsPerClockRead = 4
)

// dispatch serves the ready sockets. The owner's work must not wait for hundreds of
// sockets that send as much as they can, so the owner gets turns in between. But all
// sockets are served before the next wait, which would report the first of them again,
// and never the last.
func (l *Loop) dispatch(events []unix.EpollEvent) {
	l.full = len(events) == maxEvents
	l.asleep.Store(false)
	l.turnBegan = l.Refresh()
	if l.epoll.parked {
		l.busySince, l.shared = l.turnBegan, false
	}
	l.alarm.passed(l.turnBegan)
	end := l.turnBegan + readSlice
	for i := range events {
		l.serve(&events[i])
		if i%socketsPerClockRead == socketsPerClockRead-1 && i+1 < len(events) && Now() > end {
			l.turnBetween()
			end = l.Refresh() + readSlice
		}
	}
}

// turnBetween gives the owner a turn before the next socket is served. Nothing else
// that belongs to the end of a turn happens here. If sockets closed and their slots
// came free, an event that is not served yet could meet another connection.
func (l *Loop) turnBetween() {
	l.midway = true
	l.Refresh()
	l.shareWaiting()
	l.owner.Turn()
	l.midway = false
}

// Midway tells, within [Owner.Turn], whether sockets were reported ready that
// have not been served yet, so that bytes which have arrived lie unread.
func (l *Loop) Midway() bool { return l.midway }

func (l *Loop) serve(event *unix.EpollEvent) {
	switch {
	case event.Fd >= 0:
		// A slot's connection cannot change before all events are served: sockets
		// close, and slots come free, only after the last one.
		l.conns[event.Fd].ready(event.Events)
	case event.Fd == wakeToken:
		drain(l.epoll.wakeFD)
	case event.Fd == timerToken:
		drain(l.epoll.timerFD)
		l.tickDue = true
	case event.Fd == alarmToken:
		if drain(l.epoll.alarmFD) {
			l.alarm.armed = 0
		}
	default:
		l.listeners[firstListenerToken-event.Fd].ready()
	}
}

// shareAfter is how long a loop works before it lets another thread wait for the
// sockets of all parked loops.
const shareAfter = 500 * time.Microsecond

// shareWaiting makes sure that other loops are told of their sockets while this one is
// busy. The thread that waits in the runtime's poller also runs the goroutine that it
// finds ready. No thread takes its place until the scheduler is entered. A busy loop
// never enters it, and the runtime's monitor sleeps. So a loop that continues to work
// enters the scheduler once, which wakes another thread.
func (l *Loop) shareWaiting() {
	if !l.shared && l.now-l.busySince > shareAfter {
		l.shared = true
		runtime.Gosched()
	}
}

// ticking tells whether anything depends on the clock.
func (l *Loop) ticking() bool {
	if l.Conns() > 0 || l.alarm.coarse || len(l.lingering.sockets) > 0 {
		return true
	}
	for _, listener := range l.listeners {
		if listener.state == listenerResting {
			return true
		}
	}
	return false
}

// behind tells whether to delay a tick because not every ready socket has been looked
// at: after a stall, signs of life may be unread. The delay is bounded by the turns
// that it takes to look at all sockets.
func (l *Loop) behind() bool {
	if !l.full || l.postponed > l.Conns()/maxEvents {
		return false
	}
	l.postponed++
	return true
}

func (l *Loop) tick() {
	if !l.tickDue || l.behind() {
		return
	}
	l.tickDue, l.postponed = false, 0
	for _, listener := range l.listeners {
		listener.tick()
	}
	l.lingering.look(l)
	// Whoever has run out of time is found before the sweep sees it again.
	l.owner.Tick()
	l.sweep.advance(l.conns, l.now)
}

// closeSlice is how long a turn closes connections. Closed takes long in a handler that
// gives up much memory, and many connections may end at once.
const closeSlice = time.Millisecond

// closeEnded closes connections that were given up, at least one and for closeSlice at
// most, and returns whether there was any. The rest waits for the next turn. A handler
// may close other connections in Closed. Those are added to the list during the walk.
func (l *Loop) closeEnded() (some bool) {
	if len(l.closing) == 0 {
		return false
	}
	done := 0
	for end := Now() + closeSlice; done < len(l.closing); {
		e := l.closing[done]
		done++
		l.conns[e.conn.slot] = nil
		l.freeSlots = append(l.freeSlots, e.conn.slot)
		e.conn.finish(e.err)
		if Now() > end {
			break
		}
	}
	left := copy(l.closing, l.closing[done:])
	clear(l.closing[left:])
	l.closing = l.closing[:left]
	return true
}

// takeSlot finds a place for a connection.
func (l *Loop) takeSlot(c *Conn) int32 {
	if n := len(l.freeSlots); n > 0 {
		slot := l.freeSlots[n-1]
		l.freeSlots = l.freeSlots[:n-1]
		l.conns[slot] = c
		return slot
	}
	l.conns = append(l.conns, c)
	return int32(len(l.conns) - 1)
}
