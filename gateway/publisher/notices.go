package publisher

import "context"

// notice is something to tell the user: failed Sends, a change of state, or
// nothing but that all notices before it were told.
type notice struct {
	send  *SendError
	state State
	cause error
	told  chan struct{}
}

// notify queues n for the user's callbacks. These may block, so they must not run where
// replies are handled. Beyond maxNotices, n is dropped. Publisher.mu is held.
func (p *Publisher) notify(n notice) {
	if p.cfg.OnError == nil && p.cfg.OnStateChange == nil && p.cfg.Logger == nil {
		return
	}
	if last := len(p.notices) - 1; last >= 0 && n.send != nil {
		if joined := p.notices[last].send.join(n.send); joined != nil {
			p.notices[last].send = joined
			return
		}
	}
	if len(p.notices) >= maxNotices {
		return
	}
	p.notices = append(p.notices, n)
	if !p.delivering {
		p.delivering = true
		go p.deliver()
	}
}

// deliver tells the user of what is queued, and ends when nothing is.
func (p *Publisher) deliver() {
	for {
		p.mu.Lock()
		notices := p.notices
		p.notices = nil
		if len(notices) == 0 {
			p.delivering = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		for i := range notices {
			p.tell(&notices[i])
		}
	}
}

// tell passes one notice on.
func (p *Publisher) tell(n *notice) {
	log := p.cfg.Logger
	switch {
	case n.told != nil:
		close(n.told)
	case n.send != nil:
		if log != nil {
			log.Warn("events were not published", "first", n.send.First, "last", n.send.Last, "error", n.send.Err)
		}
		if p.cfg.OnError != nil {
			p.cfg.OnError(n.send)
		}
	default:
		if log != nil && n.cause != nil {
			log.Warn("connection to the gateway changed", "addr", p.addr, "state", n.state.String(), "cause", n.cause)
		} else if log != nil {
			log.Info("connection to the gateway changed", "addr", p.addr, "state", n.state.String())
		}
		if p.cfg.OnStateChange != nil {
			p.cfg.OnStateChange(n.state, n.cause)
		}
	}
}

// awaitNotices waits until the user was told of everything up to now. It does
// not wait if so much is queued already that notices are dropped.
func (p *Publisher) awaitNotices(ctx context.Context) error {
	p.mu.Lock()
	if !p.delivering || len(p.notices) >= maxNotices {
		p.mu.Unlock()
		return nil
	}
	told := make(chan struct{})
	p.notify(notice{told: told})
	p.mu.Unlock()
	select {
	case <-told:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
