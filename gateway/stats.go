package gateway

import (
	"context"
	"fmt"

	"fleetcast/gateway/stats"
)

// What Stats returns, and what it is made of.
type (
	GatewayStats = stats.Gateway
	Stats        = stats.Shard
	PublishStats = stats.Publish
	Histogram    = stats.Histogram
	Limits       = stats.Limits
)

// Stats asks every loop for its counters. It fails if ctx ends before all have
// answered, or the gateway has stopped.
func (g *Gateway) Stats(ctx context.Context) (GatewayStats, error) {
	all := GatewayStats{StartedAt: g.startedAt, Ready: g.Ready(), Limits: g.limits(), Total: stats.NewShard(), Publish: stats.NewPublish()}
	for _, s := range g.clients.Shards {
		var one Stats
		if err := g.ask(ctx, s.Post, func() { one = s.Stats() }); err != nil {
			return GatewayStats{}, fmt.Errorf("ask shard %d for its counters: %w", s.Port.Index, err)
		}
		all.Shards = append(all.Shards, one)
		all.Total.Add(&one)
	}
	for _, in := range g.publish.Loops {
		if err := g.ask(ctx, in.Post, func() { in.AddStats(&all.Publish) }); err != nil {
			return GatewayStats{}, fmt.Errorf("ask the publish port for its counters: %w", err)
		}
	}
	g.publish.API.AddStats(&all.Publish)
	all.AdminRefused = make(map[string]uint64)
	g.adminRefusals.AddTo(all.AdminRefused)
	all.BacklogMemory = g.clients.Backlogs.Total()
	all.ClientContexts = g.clients.Contexts.Held.Load()
	all.ClientInput, all.Publish.InputBytes = g.clients.ClientInput.Held.Load(), g.publish.Input.Held.Load()
	all.Compression = g.compressed.Stats()
	all.Publish.CreditsUsed = g.credits.InUse()
	all.ClientAddresses = g.clients.Addresses.Kept.Load()
	g.streams.AddStats(&all.Publish)
	g.addIdentityStats(&all)
	return all, nil
}

func (g *Gateway) limits() stats.Limits {
	c := g.config()
	return stats.Limits{
		MaxClients: c.MaxClients, MaxPublishers: c.MaxPublishers, MaxChannels: c.MaxChannels, Subscriptions: c.MaxSubscriptions,
		Credits: c.Credits, Backlog: c.BacklogBytes, BacklogMemory: c.BacklogMemory, HistoryMemory: c.HistoryMemory, InputMemory: c.InputMemory, ConnectQueue: g.settings.Load().ConnectQueue,
	}
}

// ask has a loop call f and waits for it.
func (g *Gateway) ask(ctx context.Context, post func(func()), f func()) error {
	done := make(chan struct{})
	post(func() { f(); close(done) })
	select {
	case <-done:
		return nil
	case <-g.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}
