package hook

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"fleetcast/gateway/limits"
)

// places bounds the calls in flight, and the callers that wait for their turn. The callers of
// different addresses have their turns one after the other. If the queue is full, an address
// that has more in it makes room for one that has less.
type places struct {
	options *Options // AtOnce, Queue and Timeout
	mu      sync.Mutex
	flying  int
	line    *limits.Line[chan bool] // is told true with a place, and false without one
}

func newPlaces(o *Options) *places {
	return &places{options: o, line: limits.NewLine[chan bool](o.Queue, int64(o.Queue))}
}

// taken is how many calls are in flight, and how many callers wait.
func (p *places) taken() (flying, waiting int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(p.flying), int64(p.line.Len())
}

// enter takes a place for a caller from an address, and waits for one if there is room in the
// queue.
func (p *places) enter(ctx context.Context, from netip.Addr) *failure {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	turn, busy := p.queue(from)
	if turn == nil {
		return busy
	}
	patience := time.NewTimer(p.options.Timeout)
	defer patience.Stop()
	select {
	case placed := <-turn.Value:
		if !placed {
			return &failure{reason: ReasonBusy, err: fmt.Errorf("%d callers wait, and many of them from one address, which has made room for others", p.options.Queue)}
		}
		return nil
	case <-ctx.Done():
		if p.giveUp(turn) {
			p.leave()
		}
		return ended(ctx)
	case <-patience.C:
		if p.giveUp(turn) {
			return nil
		}
		return &failure{reason: ReasonBusy, err: fmt.Errorf("no turn in %v: %d calls are in flight", p.options.Timeout, p.options.AtOnce)}
	}
}

// queue takes a place if one is free, else it waits in line. Both results are nil if it has a
// place.
func (p *places) queue(from netip.Addr) (*limits.Waiting[chan bool], *failure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flying < p.options.AtOnce {
		p.flying++
		return nil, nil
	}
	turn, out := p.line.Add(from, 1, make(chan bool, 1))
	for _, other := range out {
		other.Value <- false
	}
	if turn == nil {
		return nil, &failure{reason: ReasonBusy, err: fmt.Errorf("%d calls are in flight and %d callers wait", p.options.AtOnce, p.options.Queue)}
	}
	return turn, nil
}

// giveUp ends a wait. It tells whether the caller has got a place meanwhile.
func (p *places) giveUp(turn *limits.Waiting[chan bool]) (placed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.line.Remove(turn) && <-turn.Value
}

// leave hands a place to whose turn it is.
func (p *places) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if next := p.line.Next(); next != nil {
		next.Value <- true
		return
	}
	p.flying--
}

// ended is the failure of a caller whose context has ended. A deadline of the caller's
// says nothing about the endpoint.
func ended(ctx context.Context) *failure {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &failure{reason: ReasonTimeout, err: errors.New("the caller's time is over")}
	}
	return &failure{reason: ReasonCancelled, err: context.Cause(ctx)}
}
