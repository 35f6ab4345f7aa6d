package publisher

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"
)

// admitted is what acquire gave to a goroutine.
type admitted struct {
	name string
	link *link
	err  error
}

// acquireLater runs acquire in a goroutine and returns when it waits in the
// queue. It gives back the lock at once, and uses the room if it is told to.
func acquireLater(t *testing.T, p *Publisher, out chan<- admitted, name string, need room, on *link) {
	t.Helper()
	p.mu.Lock()
	before := p.waiters.Len()
	p.mu.Unlock()
	go func() {
		l, err := p.acquire(context.Background(), need, on)
		if err == nil {
			for range need.requests {
				l.put(newCall(name), 0)
			}
			p.mu.Unlock()
		}
		out <- admitted{name, l, err}
	}()
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		p.mu.Lock()
		n := p.waiters.Len()
		p.mu.Unlock()
		if n > before {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not wait", name)
		}
	}
}

func take(t *testing.T, out <-chan admitted) admitted {
	t.Helper()
	select {
	case a := <-out:
		return a
	case <-time.After(time.Minute):
		t.Fatal("nobody was admitted")
		panic("unreachable")
	}
}

// fullLink returns a Publisher whose link has two requests in flight, as many as
// it may.
func fullLink() (*Publisher, *link) {
	l := linkWithRequests()
	l.p.cfg = Config{WriteBuffer: 1 << 10, MaxInFlight: 2}
	return l.p, l
}

// answerOldest ends the oldest request, as its reply would.
func answerOldest(p *Publisher, l *link) {
	p.mu.Lock()
	l.inFlight.pop()
	p.admit()
	p.mu.Unlock()
}

func TestWaitersAreServedInOrder(t *testing.T) {
	p, l := fullLink()
	out := make(chan admitted, 10)
	for _, name := range []string{"first", "second", "third"} {
		acquireLater(t, p, out, name, room{10, 1}, nil)
	}
	// This would fit, but must not pass those before it.
	acquireLater(t, p, out, "small", room{bytes: 1}, nil)
	for _, want := range []string{"first", "second"} {
		answerOldest(p, l)
		if a := take(t, out); a.name != want || a.link != l || a.err != nil {
			t.Fatalf("admitted %+v, want %s", a, want)
		}
	}
	answerOldest(p, l)
	got := map[string]bool{take(t, out).name: true, take(t, out).name: true}
	if !got["third"] || !got["small"] {
		t.Errorf("admitted %v", got)
	}
	if l.reserved != (room{}) {
		t.Errorf("room is still reserved: %+v", l.reserved)
	}
}

func TestWaitersWhenTheLinkEnds(t *testing.T) {
	p, l := fullLink()
	out := make(chan admitted, 10)
	acquireLater(t, p, out, "any link", room{10, 1}, nil)
	acquireLater(t, p, out, "this link", room{10, 1}, l)
	l.fail(errPeerClosed)
	// It is let go though the one before it goes on waiting.
	if a := take(t, out); a.name != "this link" || !errors.Is(a.err, ErrDisconnected) || !errors.Is(a.err, ErrNotSent) {
		t.Fatalf("got %+v", a)
	}
	next := &link{p: p, wake: make(chan struct{}, 1), broken: make(chan struct{})}
	p.mu.Lock()
	p.link = next
	p.setState(StateConnected, nil)
	p.mu.Unlock()
	if a := take(t, out); a.name != "any link" || a.link != next {
		t.Fatalf("got %+v", a)
	}
}

// Room that was granted in a link that ended before it was used is worth
// nothing: the waiter waits for the next link.
func TestRoomGrantedInALinkThatEnds(t *testing.T) {
	p, l := fullLink()
	out := make(chan admitted, 10)
	acquireLater(t, p, out, "waiter", room{10, 1}, nil)
	p.mu.Lock()
	l.inFlight.pop()
	p.admit() // the waiter cannot go on before the lock is free
	l.ended = true
	p.unlink(l, errPeerClosed)
	next := &link{p: p, wake: make(chan struct{}, 1), broken: make(chan struct{})}
	p.link = next
	p.setState(StateConnected, nil)
	p.mu.Unlock()
	if a := take(t, out); a.link != next || a.err != nil {
		t.Fatalf("got %+v", a)
	}
}

func TestQueuedNoticesAreBounded(t *testing.T) {
	release := make(chan struct{})
	p := &Publisher{cfg: Config{OnError: func(*SendError) { <-release }}}
	p.mu.Lock()
	for range 10 * maxNotices {
		p.sendsFailed(&SendError{First: 1, Last: 1}, false)
	}
	n := len(p.notices)
	p.mu.Unlock()
	close(release)
	if n > maxNotices {
		t.Errorf("%d notices queued, allowed are %d", n, maxNotices)
	}
}
