package loadtest

import (
	"fmt"
	"sync/atomic"
	"time"

	"fleetcast/loadtest/profile"
	"fleetcast/poller"
)

// publishing is the loop from which events are published: one publisher for
// each flow. It lets them out when they are due, whatever the clients' loops
// are busy with.
type publishing struct {
	noListeners
	plan       *plan
	clock      clock
	board      *board
	profile    *profile.Profile
	key        string // that doors show, if not empty
	loop       *poller.Loop
	mail       *poller.Mailbox[letter]
	publishers []*publisher
	failed     atomic.Pointer[error] // why a publisher ended early, the first one
	ticked     int64                 // when the publishers last looked for stalls, time of the clock
}

// letter is mail for the publishers: one of the two.
type letter struct {
	run       func()
	completed completion
}

// newPublishing makes the loop, which its caller runs, with a publisher for each
// flow of the plan. port is the address of the publish port, key what is shown there.
func newPublishing(p *plan, b *board, traffic []Traffic, pr *profile.Profile, port, key string) (*publishing, error) {
	l := &publishing{plan: p, clock: clockAt(p.Base), board: b, profile: pr, key: key, mail: poller.NewMailbox[letter]()}
	var err error
	if l.loop, err = poller.NewLoop(l, poller.LoopConfig{}); err != nil {
		return nil, fmt.Errorf("publishing: %w", err)
	}
	for i := range p.Flows {
		doors, err := l.newDoors(port, traffic[i].Publishers)
		if err != nil {
			l.loop.Close()
			return nil, err
		}
		l.publishers = append(l.publishers, newPublisher(l, i, traffic[i], doors))
	}
	return l, nil
}

// call runs f on the loop's goroutine and waits for its end.
func (l *publishing) call(f func()) {
	done := make(chan struct{})
	l.mail.Post(letter{run: func() { f(); close(done) }})
	l.loop.Wake()
	<-done
}

// close ends the loop, once it has run.
func (l *publishing) close() {
	l.call(func() {
		for _, p := range l.publishers {
			p.doors.close()
		}
	})
	l.loop.Stop()
}

// completed tells that all awaited clients of a worker have some events. Any
// goroutine may call it.
func (l *publishing) completed(some []completion) {
	for _, c := range some {
		l.mail.Post(letter{completed: c})
	}
	l.loop.Wake()
}

// Turn implements poller.Owner.
func (l *publishing) Turn() (busy bool) {
	for {
		m, ok := l.mail.Take()
		if !ok {
			break
		}
		if m.run != nil {
			m.run()
		} else {
			l.publishers[m.completed.flow].completed(m.completed)
		}
	}
	now := l.clock.now()
	tick := now-l.ticked >= int64(poller.TickInterval)
	if tick {
		l.ticked = now
	}
	next := int64(0)
	for _, p := range l.publishers {
		if tick {
			p.tick()
		}
		busy = p.turn() || busy
		next = earlier(next, p.nextDue())
	}
	l.wakeAt(next)
	return busy
}

// wakeAt has the loop wake when something is due, and often enough to look for
// stalls: not every door has a connection of the loop, which makes it tick.
func (l *publishing) wakeAt(next int64) {
	for _, p := range l.publishers {
		if p.state == publisherRunning {
			next = earlier(next, l.ticked+int64(poller.TickInterval))
		}
	}
	if next == 0 {
		l.loop.WakeAt(0)
		return
	}
	l.loop.WakeAt(l.loop.Refresh() + time.Duration(next-l.clock.now()))
}

func (l *publishing) Pending() bool { return !l.mail.Empty() }

// Tick implements poller.Owner; see wakeAt.
func (l *publishing) Tick() {}
