package publisher

import "context"

// room is what requests take of a link's bounds.
type room struct {
	bytes    int // of the write buffer
	requests int // in flight, awaiting a reply
}

// waiter is a goroutine that waits for a connection, or for room in it. Waiters
// are served in the order of their arrival, so that a large request is not
// passed by small ones for ever.
type waiter struct {
	need  room
	on    *link         // if set, no other link will do
	ready chan struct{} // closed when the waiter has left the queue
	link  *link         // where room was granted; nil if there was none to have
}

// fits reports whether there is room for need. Publisher.mu is held.
func (l *link) fits(need room) bool {
	bytesUsed := len(l.pending) + l.reserved.bytes
	requestsUsed := l.inFlight.len() + l.reserved.requests
	return bytesUsed+need.bytes <= l.p.cfg.WriteBuffer &&
		(need.requests == 0 || requestsUsed+need.requests <= l.p.cfg.MaxInFlight)
}

// acquire waits for room and returns, with Publisher.mu held, the link that has
// it. If on is set, no other link will do. An error matches ErrNotSent; then
// Publisher.mu is not held.
func (p *Publisher) acquire(ctx context.Context, need room, on *link) (*link, error) {
	if err := ctx.Err(); err != nil {
		return nil, notSent(err)
	}
	p.mu.Lock()
	for {
		if p.state >= StateClosing {
			p.mu.Unlock()
			return nil, notSent(ErrClosed)
		}
		if on != nil && p.link != on || p.link == nil && p.cfg.FailFast {
			p.mu.Unlock()
			return nil, notSent(ErrDisconnected)
		}
		if p.link != nil && p.waiters.Len() == 0 && p.link.fits(need) {
			return p.link, nil
		}
		w := &waiter{need: need, on: on, ready: make(chan struct{})}
		element := p.waiters.PushBack(w)
		p.mu.Unlock()

		var ended error
		select {
		case <-w.ready:
		case <-ctx.Done():
			ended = ctx.Err()
		}
		p.mu.Lock()
		if w.link != nil {
			w.link.reserved.bytes -= w.need.bytes
			w.link.reserved.requests -= w.need.requests
			if !w.link.ended {
				// Room that was granted is used even if ctx ended since.
				return w.link, nil
			}
		}
		if ended != nil {
			p.waiters.Remove(element) // if it still is in the queue
			p.admit()                 // those behind it may need less
			p.mu.Unlock()
			return nil, notSent(ended)
		}
	}
}

// admit grants room to the waiters at the front. It must be called when there
// may be more room, or another link or state. Publisher.mu is held.
func (p *Publisher) admit() {
	for element := p.waiters.Front(); element != nil; element = p.waiters.Front() {
		w := element.Value.(*waiter)
		if p.state == StateConnected && (w.on == nil || w.on == p.link) {
			if !p.link.fits(w.need) {
				return
			}
			p.link.reserved.bytes += w.need.bytes
			p.link.reserved.requests += w.need.requests
			w.link = p.link
		} else if p.state == StateConnecting && w.on == nil && !p.cfg.FailFast {
			// It waits for the next link, and so do the waiters behind it, except those
			// that accept only this link.
			p.dismiss()
			return
		}
		p.waiters.Remove(element)
		close(w.ready)
	}
}

// dismiss ends the waiters that no later link can serve. Publisher.mu is held.
func (p *Publisher) dismiss() {
	for element := p.waiters.Front(); element != nil; {
		next := element.Next()
		if w := element.Value.(*waiter); w.on != nil {
			p.waiters.Remove(element)
			close(w.ready)
		}
		element = next
	}
}
