package publisher

import (
	"context"
	"errors"
	"fmt"
)

// Flush waits until the gateway has handled every event that Send and Batch.Send
// accepted before, and until Config.OnError has been told of those that failed. It
// returns nil if all events accepted since the previous Flush were sequenced. Otherwise
// it returns a [*FlushError] that counts the refused and lost events of all goroutines.
// Each failure is counted by one Flush.
//
// Another error says that the context ended, or that the Publisher is closed.
//
// The protocol has no request that only asks for a reply, so Flush sends one
// that lacks a channel; the gateway counts it as a bad request.
func (p *Publisher) Flush(ctx context.Context) error {
	p.mu.Lock()
	l := p.link
	closed := p.state >= StateClosing
	settled := l == nil || l.sendsHandled() == l.sends
	p.mu.Unlock()
	if closed {
		return fmt.Errorf("flushing: %w", ErrClosed)
	}
	var broken error
	if !settled {
		broken = p.passBarrier(ctx, l)
		if broken != nil && !errors.Is(broken, ErrDisconnected) {
			return fmt.Errorf("flushing: %w", broken)
		}
	}
	if err := p.awaitNotices(ctx); err != nil {
		return fmt.Errorf("flushing: %w", err)
	}
	if err := p.takeFailed(); err != nil {
		return err
	}
	if broken != nil {
		// The loss was counted by a Flush beside this one.
		return fmt.Errorf("flushing: %w", broken)
	}
	return nil
}

// passBarrier waits until the gateway has handled what was put into l before.
func (p *Publisher) passBarrier(ctx context.Context, l *link) error {
	if _, err := p.acquire(ctx, room{requestOverhead, 1}, l); err != nil {
		return err
	}
	c := newCallOf(callBarrier, nil)
	l.putBarrier(c)
	p.mu.Unlock()
	return p.awaitBarrier(ctx, c)
}

// awaitBarrier waits for a barrier's reply.
func (p *Publisher) awaitBarrier(ctx context.Context, c *call) error {
	if err := p.await(ctx, c); err != nil {
		return err
	}
	err := c.failure
	c.recycle()
	return err
}

// takeFailed returns the failures since it was last called, or nil.
func (p *Publisher) takeFailed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed.First == nil {
		return nil
	}
	failed := p.failed
	p.failed = FlushError{}
	return &failed
}

// sendsFailed counts Sends that were lost or refused, and reports them.
// Publisher.mu is held.
func (p *Publisher) sendsFailed(err *SendError, lost bool) {
	if lost {
		p.failed.Lost += err.Last - err.First + 1
	} else {
		p.failed.Refused++
	}
	if p.failed.First == nil {
		p.failed.First = err
	}
	p.notify(notice{send: err})
}

// Close waits, for CloseTimeout at most, until what was handed over is written and
// answered, then closes the connection. Once it has begun, further calls fail with
// [ErrClosed]. Calls that are unanswered at its end fail with it too. Then it waits, as
// long again at most, until Config.OnError and Config.OnStateChange have been told of
// everything. The error is the [*FlushError] that Flush would have returned, or nil.
// Closing again waits for the first Close and returns nil.
func (p *Publisher) Close() error {
	p.mu.Lock()
	if p.state >= StateClosing {
		p.mu.Unlock()
		<-p.closed
		return nil
	}
	defer close(p.closed)
	p.setState(StateClosing, nil)
	l := p.link
	var barrier *call
	if l != nil && l.settled < l.lines {
		barrier = newCallOf(callBarrier, nil)
		// One request beyond the bounds, so as not to queue behind them.
		l.putBarrier(barrier)
	}
	p.mu.Unlock()
	p.endLife()

	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.CloseTimeout)
	defer cancel()
	if barrier != nil {
		_ = p.awaitBarrier(ctx, barrier) // events that it did not reach count as lost
	}
	p.mu.Lock()
	p.setState(StateClosed, nil)
	p.mu.Unlock()
	if l != nil {
		l.abort(ErrClosed)
	}
	<-p.stopped
	toldCtx, toldCancel := context.WithTimeout(context.Background(), p.cfg.CloseTimeout)
	defer toldCancel()
	_ = p.awaitNotices(toldCtx)
	return p.takeFailed()
}
