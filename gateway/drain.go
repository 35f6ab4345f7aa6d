package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"fleetcast/gateway/ingest"
	"fleetcast/gateway/shard"
	"fleetcast/poller"
)

const (
	// drainPace has a drain close at least 100 clients a second, so that a small
	// fleet does not take the whole window.
	drainPace = 10 * time.Millisecond
	// cutOffPatience is how long the end of a drain waits for a shard to cut its
	// laggards off.
	cutOffPatience = 500 * time.Millisecond
)

// Drain stops the gateway in good order. Publishers end first, when what they sent is
// sequenced and answered. Then clients end, one after the other over DrainWindow: each
// gets all events that wait for it, a goodbye and close code 1001. When all are gone,
// or ctx ends, the gateway closes and Run returns. Clients for which something still
// waits then are reset. The error is that of ctx.
func (g *Gateway) Drain(ctx context.Context) error {
	g.Unready()
	g.publish.API.End()
	g.streams.KeepEmpty()
	defer g.Close()
	// The clients get their time even if the publishers could not end in theirs.
	return errors.Join(g.drainPublishers(ctx), g.drainClients(ctx))
}

// drainPublishers returns when only events of clients are accepted any more.
func (g *Gateway) drainPublishers(ctx context.Context) error {
	half, cancel := halfOf(ctx)
	defer cancel()
	err := onEach(half, g, g.publish.Loops, (*ingest.Loop).StartDrain)
	if err == nil {
		return nil
	}
	_ = onEach(ctx, g, g.publish.Loops, func(in *ingest.Loop, done func()) { in.CutOff(); done() }) // err says enough
	return fmt.Errorf("drain publishers: %w", err)
}

// drainClients takes the shards through their drain, in two parts. No client is sent
// away before the last shard refuses its clients' publishes: a client that is gone
// could not get such an event.
func (g *Gateway) drainClients(ctx context.Context) (err error) {
	defer func() {
		if err != nil && !errors.Is(err, ErrStopped) {
			g.cutOff()
		}
		if err != nil {
			err = fmt.Errorf("drain clients: %w", err)
		}
	}()
	var clients atomic.Int64
	err = onEach(ctx, g, g.clients.Shards, func(s *shard.Shard, done func()) {
		s.StartDrain(func() { clients.Add(s.Counters.Clients); done() })
	})
	if err != nil {
		return err
	}
	plan := g.planLeaving(ctx, clients.Load())
	if n := clients.Load(); n > 0 {
		g.logger.Info("clients are sent away", "clients", n, "over", plan.Window.Round(time.Millisecond), "returns_over", plan.RetryWindow)
	}
	return onEach(ctx, g, g.clients.Shards, func(s *shard.Shard, done func()) { s.StartLeaving(plan, done) })
}

// planLeaving makes the plan for that many clients. It leaves the last of them some
// time before ctx ends.
func (g *Gateway) planLeaving(ctx context.Context, clients int64) shard.LeavePlan {
	config := g.config()
	window := config.DrainWindow
	if clients < int64(window/g.drainPace) {
		window = time.Duration(clients) * g.drainPace
	}
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		window = min(window, max(left-shard.ClosePatience, left/2, 0))
	}
	return shard.LeavePlan{Began: poller.Now(), Window: window, RetryWindow: config.RetryWindow}
}

// cutOff resets the clients that have not got everything. Otherwise they would see a
// regular end.
func (g *Gateway) cutOff() {
	ctx, cancel := context.WithTimeout(context.Background(), cutOffPatience)
	defer cancel()
	_ = onEach(ctx, g, g.clients.Shards, func(s *shard.Shard, done func()) { s.CutOff(); done() }) // a stalled shard cannot be waited for
}

// halfOf returns a context that ends after half of the time that ctx has left.
func halfOf(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

// onEach has every loop begin something, and waits until all are done.
func onEach[L interface{ Post(func()) }](ctx context.Context, g *Gateway, loops []L, begin func(loop L, done func())) error {
	done := make(chan struct{}, len(loops))
	for _, loop := range loops {
		loop.Post(func() { begin(loop, func() { done <- struct{}{} }) })
	}
	for range loops {
		select {
		case <-done:
		case <-g.stopped:
			return ErrStopped
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
