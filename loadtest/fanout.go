package loadtest

import (
	"context"
	"fmt"
	"time"
)

// linger is how long the clients are listened to after the last event, for
// what comes twice or unasked.
const linger = 100 * time.Millisecond

// doorTimeout is how long the way to publish may take to open.
const doorTimeout = 10 * time.Second

// RunFanout connects the clients, publishes the events and verifies what
// arrives. An error means that the run could not be made or was ended; what is wrong
// with a run that was made is in the result (see Result.Fault).
func RunFanout(ctx context.Context, fanout Fanout) (*Result, error) {
	config, err := fanout.complete()
	if err != nil {
		return nil, err
	}
	if err := raiseDescriptorLimit(config.Clients, config.Loops); err != nil {
		return nil, err
	}
	m, err := newMeter(config.PID)
	if err != nil {
		return nil, err
	}
	s, err := newSwarm(config)
	if err != nil {
		return nil, err
	}
	p := newPublisher(s.workers[0], config)
	s.workers[0].publisher = p
	s.start()
	defer s.stop()

	var at moments
	if err := connectPhase(ctx, s, m, &at); err != nil {
		return nil, err
	}
	if s.live.Load() == 0 {
		return report(s, p, m, &at), nil
	}
	ended, err := eventPhase(ctx, s, p, m, &at)
	if err != nil {
		return nil, err
	}
	r := report(s, p, m, &at)
	if ended != nil {
		r.Detail.Ended = ended.Error()
	}
	return r, nil
}

// connectPhase connects a third of the clients, then the rest, and reads the
// server's memory after each.
func connectPhase(ctx context.Context, s *swarm, m *meter, at *moments) (err error) {
	if at.base, err = m.sample(); err != nil {
		return err
	}
	third := s.config.Clients / 3
	if err := s.connect(ctx, third); err != nil {
		return err
	}
	at.thirdClients = int(s.live.Load())
	if at.third, err = m.settled(ctx, s.config.Settle); err != nil {
		return err
	}
	if err := s.connect(ctx, s.config.Clients); err != nil {
		return err
	}
	at.allClients = int(s.live.Load())
	at.connected, err = m.settled(ctx, s.config.Settle)
	return err
}

// settled samples after some idle time. Without a server to measure nothing is
// waited for.
func (m *meter) settled(ctx context.Context, idle time.Duration) (moment, error) {
	if m.server != nil {
		if err := sleep(ctx, idle); err != nil {
			return moment{}, err
		}
	}
	return m.sample()
}

// eventPhase publishes and waits until every event has reached everyone or was
// given up. ended says why the phase ended before its last event.
func eventPhase(ctx context.Context, s *swarm, p *publisher, m *meter, at *moments) (ended, err error) {
	w := p.worker
	w.call(func() { p.open(w.loop) })
	select {
	case err = <-p.result:
	case <-time.After(doorTimeout):
		err = fmt.Errorf("publishing: no connection within %v", doorTimeout)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	absent := s.prepare()
	if at.began, err = m.sample(); err != nil {
		return nil, err
	}
	w.call(func() { p.run(absent) })
	select {
	case ended = <-p.result:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if at.ended, err = m.sample(); err != nil {
		return nil, err
	}
	return ended, sleep(ctx, linger)
}

// sleep waits, unless ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// report adds up what the workers and the publisher know.
func report(s *swarm, p *publisher, m *meter, at *moments) *Result {
	total, latency := s.collect()
	r := &Result{
		Clients:    at.allClients,
		Events:     s.schedule.published.Load(),
		Delivered:  total.delivered,
		Lost:       total.lost,
		Duplicated: total.duplicated,
		Reordered:  total.reordered,
		Corrupted:  total.corrupted,
		Gaps:       total.told,
		Latency:    latency.percentiles(),
	}
	d := &r.Detail
	d.ClientsWanted = s.config.Clients
	d.Disconnected, d.Unexpected, d.Notes = total.closed, total.unexpected, total.notes
	var copies int64
	p.worker.call(func() {
		r.Seconds = time.Duration(p.end - p.start).Seconds()
		d.Rejected = p.rejected
		d.FirstLatency, d.LastLatency = p.first.percentiles(), p.last.percentiles()
		copies = p.door.copies
	})
	if r.Seconds > 0 {
		r.DeliveriesPerSecond = float64(r.Delivered) / r.Seconds
	}
	if r.Delivered > 0 {
		d.FramePayloadBytes = float64(total.frameBytes) / float64(r.Delivered)
	}
	r.Server = m.cost(at, r.Delivered, copies)
	r.Harness.CPUPerDelivery = perItem(at.ended.own-at.began.own, r.Delivered)
	d.shares(m, at)
	r.judge(s.config.Loops)
	return r
}

// shares says how busy both sides were while events flowed.
func (d *Detail) shares(m *meter, at *moments) {
	wall := at.ended.at.Sub(at.began.at).Seconds()
	if wall <= 0 {
		return
	}
	d.HarnessBusy = (at.ended.own - at.began.own).Seconds() / wall
	if m.server != nil {
		busy := at.ended.server.since(at.began.server).Seconds() / wall
		base := at.base.resident
		d.ServerBusy, d.ServerBaseKB = &busy, &base
	}
}
