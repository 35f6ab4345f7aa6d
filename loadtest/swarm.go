package loadtest

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"fleetcast/codec/websocket"
	"fleetcast/loadtest/proc"
	"fleetcast/loadtest/profile"
)

// swarm is the clients of one process: its workers and what they share.
type swarm struct {
	plan      *plan
	profile   *profile.Profile
	requests  [2]websocket.Request // of handshakes: without an offer of compression, and with one
	clock     clock
	board     *board
	workers   []*worker
	running   sync.WaitGroup     // the workers' goroutines
	completed func([]completion) // tells the publishers, and keeps nothing; any worker calls it
}

// newSwarm makes the workers; start sets them going. It takes the board over.
func newSwarm(p *plan, b *board, completed func([]completion)) (*swarm, error) {
	s := &swarm{plan: p, clock: clockAt(p.Base), board: b, completed: completed}
	var err error
	if s.profile, err = profile.Load(p.Profile); err != nil {
		return nil, err
	}
	for i := range s.requests {
		s.requests[i] = handshakeRequest(&p.Target, s.profile)
	}
	s.requests[1].Deflate = &offer
	if err := raiseDescriptorLimit(p.ownClients(), p.workers(), p.Processes); err != nil {
		return nil, err
	}
	for i := range p.workers() {
		w, err := newWorker(s, i)
		if err != nil {
			s.discard()
			return nil, err
		}
		s.workers = append(s.workers, w)
	}
	return s, nil
}

// discard gives up workers that were not started.
func (s *swarm) discard() {
	for _, w := range s.workers {
		w.loop.Close()
	}
}

func (s *swarm) start() {
	for _, w := range s.workers {
		s.running.Go(w.run)
	}
}

// stop ends the workers and waits for them.
func (s *swarm) stop() {
	for _, w := range s.workers {
		w.call(w.close)
		w.loop.Stop()
	}
	s.running.Wait()
}

// request is what clients ask for in the handshake.
func (s *swarm) request(offers bool) *websocket.Request {
	if offers {
		return &s.requests[1]
	}
	return &s.requests[0]
}

// do has all workers carry an order out and adds up what they say.
func (s *swarm) do(ctx context.Context, o order) (*answer, error) {
	var waits []chan struct{}
	for _, w := range s.workers {
		done := make(chan struct{})
		w.call(func() {
			if !w.obey(o, done) {
				close(done)
			}
		})
		waits = append(waits, done)
	}
	for _, done := range waits {
		select {
		case <-done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if !o.What.isQuestion() {
		return &answer{}, nil
	}
	total := &answer{}
	for _, w := range s.workers {
		w.call(func() { total.add(w.answer(o)) })
	}
	total.OwnTime = proc.OwnCPU()
	return total, nil
}

// obey does what o says. done is closed in the end if it takes longer.
func (w *worker) obey(o order, done chan struct{}) (waits bool) {
	if len(w.cohorts) == 0 {
		return false
	}
	h := w.cohorts[o.Group]
	switch o.What {
	case orderConnect:
		h.connect(o.Count, o.Rate)
		h.await(done)
		return true
	case orderReturn:
		h.comeBack(o.Over, o.Served)
		h.await(done)
		return true
	case orderLeave:
		h.leave()
		h.await(done)
		return true
	case orderEcho:
		w.startEcho(done)
		return true
	case orderDrop:
		h.drop()
	case orderChurn:
		h.startChurn(o.Rate, o.Over)
	case orderPing:
		h.startPings(o.Rate)
	case orderPause, orderResume:
		h.pause(o.What == orderPause)
	case orderFinish:
		for _, h := range w.cohorts {
			h.finish(o.Cut)
		}
	}
	return false
}

// answer says what the worker has counted.
func (w *worker) answer(o order) *answer {
	a := &answer{}
	switch o.What {
	case orderPrepare:
		a.Absent, a.Behind = w.prepare()
	case orderBehind:
		a.Behind = w.cohorts[o.Group].behind()
		return a
	case orderWhole:
		h := w.cohorts[o.Group]
		a.Behind, a.Last, a.Recovered = h.recovering, w.whole, h.tally.Recovered+h.tally.Whole
		return a
	case orderUnproved:
		for _, h := range w.cohorts {
			a.Behind += h.unproved()
		}
		return a
	}
	for _, h := range w.cohorts {
		if o.What == orderSample {
			a.Last = w.last
			a.Groups = append(a.Groups, h.sample())
		} else {
			a.Groups = append(a.Groups, groupAnswer{Live: h.live, Compressing: h.compressing, Times: newTimes()})
		}
	}
	return a
}

// handshakeRequest is what a client of the profile asks for.
func handshakeRequest(to *target, p *profile.Profile) websocket.Request {
	request := websocket.Request{Host: to.Host, Path: to.Path}
	if name := p.Subprotocol(); name != "" {
		request.Subprotocols = []string{name}
	}
	return request
}

// checkResponse checks the head of a handshake's answer as the profile says. If
// compression was offered, it always checks the whole head, because the agreement is in
// it.
func checkResponse(p *profile.Profile, request *websocket.Request, head []byte, key websocket.Key) (websocket.Handshake, error) {
	if p.StrictAccept() || request.Deflate != nil {
		return request.Check(head, key)
	}
	if bytes.HasPrefix(head, []byte("HTTP/1.1 101")) {
		return websocket.Handshake{}, nil
	}
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	return websocket.Handshake{}, fmt.Errorf("handshake: the server answered %.100q", line)
}
